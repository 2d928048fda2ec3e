import type { Answer, AnswerBlock } from "../../answer/prompt.ts";
import type { InputUsage } from "../../answer/prompt-cache.ts";
import { signThinking } from "../../answer/signature.ts";
import type { Frame } from "../../pacer.ts";

/** What goes around the parts of an answer. */
export interface GeminiHead {
  readonly model: string;
  readonly responseId: string;
  readonly input: InputUsage;
  /** Whether the model signs its calls. */
  readonly signs: boolean;
}

type Part = Readonly<Record<string, unknown>>;

export function encodeWhole(head: GeminiHead, answer: Answer): Record<string, unknown> {
  const signed = firstCall(answer);
  const parts = answer.blocks.map((block) => encodeBlock(block, head, signed));
  return response(head, { parts, finishReason: finishReason(answer), usage: usage(head, answer) });
}

/** A chunk for so many tokens of text or thoughts; a call is whole in one; the last one has the finish and an empty text. */
export function* encodeChunks(head: GeminiHead, answer: Answer, chunk: number): Generator<Frame, void> {
  yield frame(response(head, { usage: usage(head, { ...answer, outputTokens: 0, thinkingTokens: 0 }) }), 0);
  const signed = firstCall(answer);
  for (const block of answer.blocks) {
    if (block.type === "tool_use") {
      yield frame(response(head, { parts: [encodeBlock(block, head, signed)] }), block.pieces.length);
      continue;
    }
    for (let start = 0; start < block.pieces.length; start += chunk) {
      const pieces = block.pieces.slice(start, start + chunk);
      const thought = block.type === "thinking" ? { thought: true } : {};
      yield frame(response(head, { parts: [{ text: pieces.join(""), ...thought }] }), pieces.length);
    }
  }
  const end = answer.thinkingTokens > 0 && !signed ? { text: "", thoughtSignature: signThinking("") } : { text: "" };
  yield frame(response(head, { parts: [end], finishReason: finishReason(answer), usage: usage(head, answer) }), 0);
}

/** One event, with the line ends that Google sends. */
function frame(value: unknown, tokens: number): Frame {
  return { text: `data: ${JSON.stringify(value)}\r\n\r\n`, tokens };
}

function firstCall({ blocks }: Answer): AnswerBlock | undefined {
  return blocks.find(({ type }) => type === "tool_use");
}

function encodeBlock(block: AnswerBlock, { signs }: GeminiHead, signed: AnswerBlock | undefined): Part {
  if (block.type === "text") return { text: block.pieces.join("") };
  if (block.type === "thinking") return { text: block.thinking, thought: true };
  const call = { functionCall: { id: block.id, name: block.name, args: block.input } };
  // Of parallel calls the first alone is signed.
  return signs && block === signed ? { ...call, thoughtSignature: signThinking("") } : call;
}

interface Told {
  readonly parts?: readonly Part[];
  readonly finishReason?: string;
  readonly usage?: object;
}

function response(head: GeminiHead, { parts, finishReason: reason, usage: told }: Told): Record<string, unknown> {
  const candidate = {
    ...(parts ? { content: { parts, role: "model" } } : {}),
    ...(reason === undefined ? {} : { finishReason: reason }),
    index: 0,
  };
  return {
    ...(parts ? { candidates: [candidate] } : {}),
    ...(told ? { usageMetadata: told } : {}),
    modelVersion: head.model,
    responseId: head.responseId,
  };
}

/** Thoughts are counted beside the answer; what came out of the cache is part of the prompt. */
function usage({ input }: GeminiHead, { outputTokens, thinkingTokens }: Answer): Record<string, unknown> {
  const cached = input.cache_read_input_tokens;
  const prompt = Math.max(1, input.input_tokens + input.cache_creation_input_tokens + cached);
  const candidates = outputTokens - thinkingTokens;
  return {
    promptTokenCount: prompt,
    ...(candidates > 0 ? { candidatesTokenCount: candidates } : {}),
    totalTokenCount: prompt + outputTokens,
    ...(cached > 0 ? { cachedContentTokenCount: cached } : {}),
    promptTokensDetails: [{ modality: "TEXT", tokenCount: prompt }],
    ...(thinkingTokens > 0 ? { thoughtsTokenCount: thinkingTokens } : {}),
  };
}

const finishReasons: Readonly<Record<string, string>> = { max_tokens: "MAX_TOKENS", refusal: "SAFETY" };

/** A scenario may name Google's own word. */
function finishReason({ stopReason }: Answer): string {
  if (/^[A-Z_]+$/.test(stopReason)) return stopReason;
  return finishReasons[stopReason] ?? "STOP";
}
