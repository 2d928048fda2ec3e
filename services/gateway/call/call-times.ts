import type { IncomingHttpHeaders } from "node:http";
import { GatewayError } from "#shared/messages/error.ts";

export interface CallTimes {
  readonly acceptedAt: number;
  readonly deadlineAt: number;
  readonly waitUntil: number;
}

const defaultDeadlineS = 600;
const maxDeadlineS = 3600;
const defaultWaitMs = 60_000;
const unitsMs = { ms: 1, s: 1000, m: 60_000 } as const;

/**
 * How long a call may take and how much of it may be spent waiting for capacity, from `x-stainless-timeout` and
 * `x-sluice-max-wait` (`30`, `30s`, `500ms`, `1m`). Throws `invalid_request` for a wait that cannot be read.
 */
export function readCallTimes(headers: IncomingHttpHeaders, stream: boolean, acceptedAt: number): CallTimes {
  const deadlineMs = readDeadlineMs(headers["x-stainless-timeout"]);
  const asked = headers["x-sluice-max-wait"];
  const usualMs = stream ? 0 : Math.min(defaultWaitMs, deadlineMs / 2);
  const waitMs = typeof asked === "string" && asked !== "" ? readWaitMs(asked) : usualMs;
  return { acceptedAt, deadlineAt: acceptedAt + deadlineMs, waitUntil: acceptedAt + Math.min(waitMs, deadlineMs) };
}

/** The SDKs' own time-out, clamped: what the caller has left is what the call has. */
function readDeadlineMs(header: string | string[] | undefined): number {
  const seconds = typeof header === "string" && header !== "" ? Number(header) : defaultDeadlineS;
  return 1000 * (Number.isFinite(seconds) ? Math.min(Math.max(seconds, 1), maxDeadlineS) : defaultDeadlineS);
}

function readWaitMs(text: string): number {
  const [, amount, unit] = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m)?\s*$/.exec(text) ?? [];
  if (amount === undefined)
    throw new GatewayError("invalid_request", "x-sluice-max-wait: a number of seconds or a duration such as `30s`.", {
      where: "x-sluice-max-wait",
    });
  return Number(amount) * unitsMs[(unit ?? "s") as keyof typeof unitsMs];
}
