import { GatewayError } from "#shared/messages/error.ts";
import type { StoredJob } from "#shared/store/job-store.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { addJob } from "../call/add-job.ts";
import type { OpenCall } from "../call/open-call.ts";
import type { GatewayDeps } from "../gateway-deps.ts";

const lane = "background";
/** What a dispatcher may take to write down that a job has expired. */
const holdMarginMs = 600_000;

/**
 * Puts a call into the background lane, where it goes on without this process. Rejects with `overloaded`, or with
 * `rate_limited` when its key has too many open jobs, and then the call is not made.
 */
export async function submitJob(call: OpenCall, deps: GatewayDeps): Promise<StoredJob> {
  const { jobTimes, jobs } = deps;
  const createdAt = Date.now();
  const expiresAt = createdAt + jobTimes.expiresAfterMs;
  const { id: callId, keyId, operation, model } = call.head;
  const head = { ...call.head, deadlineAt: expiresAt, waitUntil: expiresAt };
  const hold = call.takeHold();
  const held = hold ? { hold } : {};
  const stored: StoredJob = { callId, keyId, operation, model, lane, createdAt, expiresAt, ...held };
  const keepMs = Math.max(jobTimes.keepMs, call.claim?.keepMs ?? 0);
  const record = { kind: "job" } as const;
  const job = { version: 1, head, replyTo: "", enqueuedAt: createdAt, record, keepMs, ...held } as const;
  try {
    if (!(await jobs.hasRoom())) throw new Error("Redis is short of memory");
    if (hold) await deps.budgets.extend(hold, expiresAt - createdAt + holdMarginMs);
    // Known first: an id that was told is found.
    if (!(await jobs.create(stored, { keepMs, mostOpen: jobTimes.maxOpen }))) throw tooManyOpen(jobTimes.maxOpen);
    await addJob({ lane, job, bytes: call.bytes }, deps);
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    jobs.release(stored);
    // The add may have been carried out all the same; its caller is told that it was not.
    deps.results.cancel(callId, expiresAt).catch(() => undefined);
    if (hold) deps.budgets.settle(hold, 0);
    metrics.shedTotal.inc({ reason: "redis" });
    throw new GatewayError("overloaded", "Jobs cannot be taken now.", { retryAfterS: 1, cause });
  }
  call.handOver();
  return stored;
}

function tooManyOpen(most: number): GatewayError {
  const words = `This key may have ${most} jobs open at a time.`;
  return new GatewayError("rate_limited", words, { retryAfterS: 10 });
}
