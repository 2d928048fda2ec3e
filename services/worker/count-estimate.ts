import type { CallHead } from "#shared/messages/call.ts";
import type { CallFacts, Outcome } from "#shared/messages/outcome.ts";
import { estimatePromptTokens } from "#shared/messages/prompt-tokens.ts";

/**
 * English prose is about four bytes a token, code and JSON three, other scripts less than three bytes a token in UTF-8.
 * Counting the whole body, keys and quotes too, at 2.5 errs high on all of them.
 */
const bytesPerToken = 2.5;

/** Tokens of a count_tokens body, for providers that cannot count. Never less than they would find. */
export function estimateTokens(body: Buffer): number {
  return estimatePromptTokens(body, bytesPerToken);
}

/** The answer of our own to a count, marked as an estimate. */
export function estimateOutcome(
  head: CallHead,
  body: Buffer,
  facts: Pick<CallFacts, "attempts" | "waits" | "notes">,
): Outcome {
  return {
    ...facts,
    notes: [...facts.notes, "count_estimated"],
    code: "ok",
    status: 200,
    headers: { "content-type": "application/json", "request-id": head.id, "x-sluice-estimated": "true" },
    body: Buffer.from(JSON.stringify({ input_tokens: estimateTokens(body) })),
  };
}
