import { nanosPerUsd, type Bill } from "#shared/messages/cost.ts";
import type { CallFacts } from "#shared/messages/outcome.ts";

/** How a call's end is told in a log line; members of which nothing is known are undefined. */
interface EndLine {
  /** Who answered; else who was asked last. */
  readonly provider: string | undefined;
  readonly attempts: number;
  /** Why the last attempt ended. */
  readonly reason: string | undefined;
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
  /** US dollars. */
  readonly costUsd: number | undefined;
}

/** What the lines `call` and `job` say alike of a call's end. */
export function describeEnd({ provider, attempts, usage }: CallFacts, bill: Bill | undefined): EndLine {
  const last = attempts.at(-1);
  const cost = bill?.cost;
  return {
    provider: provider ?? last?.provider,
    attempts: attempts.length,
    reason: last?.reason,
    inputTokens: usage?.input_tokens,
    outputTokens: usage?.output_tokens,
    costUsd: cost === undefined || "unknown" in cost ? undefined : cost.total / nanosPerUsd,
  };
}
