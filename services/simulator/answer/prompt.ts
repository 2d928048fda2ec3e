/** What a wire read out of a request, in terms every wire has. */
export interface Prompt {
  /** The text of the last user turn, markers and all. */
  readonly text: string;
  /** What tools gave back in the last user turn. */
  readonly toolResults: readonly string[];
  readonly tools: readonly PromptTool[];
  readonly toolChoice: ToolChoice;
  /** The schema a structured answer has to fit. */
  readonly format?: unknown;
  readonly thinking: "off" | "omitted" | "summarized";
  readonly maxTokens: number;
  readonly stopSequences: readonly string[];
}

export interface PromptTool {
  readonly name: string;
  readonly schema: unknown;
}

export type ToolChoice =
  | { readonly type: "auto" }
  | { readonly type: "any" }
  | { readonly type: "none" }
  | { readonly type: "tool"; readonly name: string };

export type AnswerBlock =
  | {
      readonly type: "thinking";
      readonly thinking: string;
      readonly signature: string;
      /** The reasoning as tokens; empty when it is not shown. */
      readonly pieces: readonly string[];
      readonly tokens: number;
    }
  | { readonly type: "text"; readonly pieces: readonly string[] }
  | {
      readonly type: "tool_use";
      readonly id: string;
      readonly name: string;
      readonly input: unknown;
      readonly pieces: readonly string[];
    };

export interface Answer {
  readonly blocks: readonly AnswerBlock[];
  readonly stopReason: string;
  readonly stopSequence: string | null;
  readonly outputTokens: number;
  readonly thinkingTokens: number;
}
