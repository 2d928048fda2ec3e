import type { OutgoingHttpHeaders } from "node:http";
import { formatUsd, type Bill } from "#shared/messages/cost.ts";
import { waitedMs, type AnswerHead, type Outcome } from "#shared/messages/outcome.ts";
import type { Answer } from "./answer.ts";
import type { Trail } from "./call/capacity.ts";

/** An outcome as the caller gets it; with what it cost, where something was used. */
export function answerFromOutcome(outcome: Outcome, bill?: Bill): Answer {
  const headers: OutgoingHttpHeaders = { ...outcome.headers };
  if (outcome.provider !== undefined) headers["x-sluice-provider"] = outcome.provider;
  if (outcome.model !== undefined) headers["x-sluice-model"] = outcome.model;
  headers["x-sluice-attempts"] = outcome.attempts.length;
  headers["x-sluice-queue-ms"] = waitedMs(outcome.waits);
  if (bill !== undefined)
    headers["x-sluice-cost-usd"] = "unknown" in bill.cost ? "unknown" : formatUsd(bill.cost.total);
  return { status: outcome.status, headers, body: outcome.body };
}

/** The headers of a stream that begins; `trail`: what came before it was opened for the last time. */
export function streamHeaders(head: AnswerHead, trail: Trail | undefined): OutgoingHttpHeaders {
  return {
    ...head.headers,
    "x-sluice-provider": head.provider,
    "x-sluice-model": head.model,
    "x-sluice-attempts": head.attempts + (trail?.attempts.length ?? 0),
    "x-sluice-queue-ms": trail === undefined ? 0 : waitedMs(trail.waits),
  };
}
