import type { CallHead, WorkerCall } from "#shared/messages/call.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import { sleep } from "#shared/runtime/deadline.ts";
import type { WorkerPool } from "#shared/rpc/worker-pool.ts";
import { behind, capacityWait, mayWaitUntil, spreadMs, type Trail } from "./capacity.ts";

export interface StraightOptions {
  /** Of the first time; every later one is one higher. */
  readonly delivery: number;
  /** True when a worker may already have the call: every one is asked before it is opened. */
  readonly reopened: boolean;
  readonly signal: AbortSignal;
}

export interface StraightCall {
  readonly head: CallHead;
  readonly bytes: Buffer;
}

/**
 * A whole answer or a count without the queue. This gateway then owns the call: when every target is limited it waits
 * as long as the call may wait, and opens it again. Rejects as `WorkerPool.invoke` does.
 */
export async function invokeStraight(call: StraightCall, options: StraightOptions, pool: WorkerPool): Promise<Outcome> {
  const { signal } = options;
  let trail: Trail | undefined;
  for (let again = 0; ; again += 1) {
    const asked: WorkerCall = { head: call.head, body: { bytes: call.bytes }, delivery: options.delivery + again };
    const reopened = options.reopened && again === 0;
    const outcome = behind(trail, await pool.invoke(asked, { signal, keepOrphan: true, reopened }));
    const until = mayWaitUntil(outcome, call.head);
    if (until === undefined) return outcome;
    const startedAt = Date.now();
    await sleep(until - startedAt + spreadMs(), signal);
    trail = { ...outcome, waits: [...outcome.waits, capacityWait(startedAt)] };
  }
}
