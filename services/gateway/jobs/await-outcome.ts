import type { ServerResponse } from "node:http";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { StoredJob } from "#shared/store/job-store.ts";
import type { GatewayDeps } from "../gateway-deps.ts";

export interface AwaitOptions {
  /** Unique among those who wait. */
  readonly waiterId: string;
  readonly waitMs: number;
  /** Whose caller waits; when it leaves, waiting ends. */
  readonly response: ServerResponse;
}

/** A job's outcome, if it is there in time. Rejects when Redis is away at first. */
export async function awaitOutcome(
  job: StoredJob,
  options: AwaitOptions,
  deps: GatewayDeps,
): Promise<Outcome | undefined> {
  const { results, replies, calls } = deps;
  if (options.waitMs === 0) return results.read(job.callId);
  const { promise, resolve, reject } = Promise.withResolvers<Outcome | undefined>();
  const waiter = { channel: replies.channel, id: options.waiterId, deadlineAt: Date.now() + options.waitMs };
  const target = { id: job.callId, lane: job.lane, deadlineAt: job.expiresAt, channel: "" };
  const giveUp = (): void => resolve(undefined);
  const join = async (): Promise<void> => {
    const joined = await calls.join(target, waiter);
    if (joined.state === "answered") resolve(joined.outcome);
  };
  // Listen first: the outcome may come before we know that we wait for it.
  const forget = replies.expect(job.callId, resolve);
  // After an interruption it may have gone by.
  const stop = replies.onRestored(() => void join().catch(giveUp));
  const timer = setTimeout(giveUp, options.waitMs);
  options.response.once("close", giveUp);
  join().catch(reject);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    forget();
    stop();
    options.response.off("close", giveUp);
    calls.leave(job.callId, waiter, 0).catch(() => undefined);
  }
}
