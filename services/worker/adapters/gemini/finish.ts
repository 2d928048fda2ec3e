import { isFields, type Fields } from "../translate/reading.ts";

/** How an answer ended. `fault`: what there is of it is no answer. */
export interface Finish {
  readonly kind: "stop" | "max_tokens" | "refusal" | "fault";
  /** Google's word for it. */
  readonly reason: string;
  readonly explanation?: string;
}

const kinds: Readonly<Record<string, Finish["kind"]>> = {
  STOP: "stop",
  MAX_TOKENS: "max_tokens",
  SAFETY: "refusal",
  RECITATION: "refusal",
  LANGUAGE: "refusal",
  BLOCKLIST: "refusal",
  PROHIBITED_CONTENT: "refusal",
  SPII: "refusal",
  IMAGE_SAFETY: "refusal",
  IMAGE_PROHIBITED_CONTENT: "refusal",
  IMAGE_RECITATION: "refusal",
  MODEL_ARMOR: "refusal",
  MALFORMED_FUNCTION_CALL: "fault",
  UNEXPECTED_TOOL_CALL: "fault",
  TOO_MANY_TOOL_CALLS: "fault",
  MISSING_THOUGHT_SIGNATURE: "fault",
  MALFORMED_RESPONSE: "fault",
  NO_IMAGE: "fault",
  OTHER: "fault",
};

/** Undefined while the answer goes on. A blocked prompt has no candidate at all. A word that is new ends the turn. */
export function readFinish(candidate: Fields | undefined, promptFeedback: unknown): Finish | undefined {
  const reason = candidate?.["finishReason"];
  if (typeof reason === "string" && reason !== "" && reason !== "FINISH_REASON_UNSPECIFIED") {
    const kind = Object.hasOwn(kinds, reason) ? (kinds[reason] ?? "stop") : "stop";
    return { kind, reason, ...(kind === "refusal" ? explained(candidate?.["finishMessage"], reason) : {}) };
  }
  if (candidate || !isFields(promptFeedback)) return undefined;
  const { blockReason, blockReasonMessage } = promptFeedback;
  if (typeof blockReason !== "string") return undefined;
  return { kind: "refusal", reason: blockReason, ...explained(blockReasonMessage, blockReason) };
}

function explained(message: unknown, reason: string): { readonly explanation: string } {
  const isText = typeof message === "string" && message !== "";
  return { explanation: isText ? message : `The provider stopped the answer: ${reason}.` };
}
