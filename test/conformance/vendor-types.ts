/** The vendors' own types of what is sent to them, by the name of what is sent; the source of a module. */
export const vendorTypes = `
import type { AnthropicBedrock, AnthropicBedrockMantle } from "@anthropic-ai/bedrock-sdk";
import type { AnthropicFoundry } from "@anthropic-ai/foundry-sdk";
import type { Anthropic } from "@anthropic-ai/sdk";
import type { AnthropicVertex } from "@anthropic-ai/vertex-sdk";
import type * as Google from "@google/genai";
import type { OpenAI } from "openai";

/** Without what an SDK sends as headers. */
type Body<Params> = Omit<Params, "betas" | "user_profile_id" | "workspace_id">;

export type AnthropicMessages = Body<Parameters<Anthropic["beta"]["messages"]["create"]>[0]>;
export type AnthropicCount = Body<Parameters<Anthropic["beta"]["messages"]["countTokens"]>[0]>;
export type FoundryMessages = Body<Parameters<AnthropicFoundry["beta"]["messages"]["create"]>[0]>;
export type FoundryCount = Body<Parameters<AnthropicFoundry["beta"]["messages"]["countTokens"]>[0]>;

type BedrockParams = Body<Parameters<AnthropicBedrock["beta"]["messages"]["create"]>[0]>;
/** The SDK moves model and stream into the path, and version and betas into the body. */
export type BedrockMessages = Omit<BedrockParams, "model" | "stream"> & {
  anthropic_version: "bedrock-2023-05-31" | "2026-10-21";
  anthropic_beta?: Anthropic.Beta.AnthropicBeta[];
};
export type BedrockCount = BedrockMessages;
export type MantleMessages = Body<Parameters<AnthropicBedrockMantle["beta"]["messages"]["create"]>[0]>;

interface VertexVersion {
  anthropic_version: "vertex-2023-10-16" | "2026-10-21";
}
export type VertexMessages = Omit<Body<Parameters<AnthropicVertex["beta"]["messages"]["create"]>[0]>, "model"> &
  VertexVersion;
export type VertexCount = Body<Parameters<AnthropicVertex["beta"]["messages"]["countTokens"]>[0]> & VertexVersion;

/** What callers get; an SDK's stream parser puts a message together of such events. */
export type Message = Anthropic.Message;
export type StreamEvent = Anthropic.RawMessageStreamEvent;

export type OpenaiChat = OpenAI.ChatCompletionCreateParams;
export type OpenaiResponses = OpenAI.Responses.ResponseCreateParams;
export type OpenaiResponsesCount = OpenAI.Responses.InputTokenCountParams;

/** On the wire an enum is its word. */
type Words<T> = T extends string
  ? \`\${T}\`
  : T extends readonly (infer Item)[]
    ? Words<Item>[]
    : T extends object
      ? { [Name in keyof T]: Words<T[Name]> }
      : T;
type Prompt = Words<{
  contents: Google.Content[];
  systemInstruction?: Google.Content;
  tools?: Google.Tool[];
}>;
export type GeminiGenerate = Prompt & Words<{ toolConfig?: Google.ToolConfig; generationConfig?: Google.GenerationConfig }>;
export type GeminiVertexCount = Prompt;
export type GeminiCount = { generateContentRequest: Prompt & { model: string } };
`;
