import { setTimeout as sleep } from "node:timers/promises";
import type { NewBatch, OpenIntake } from "#shared/store/batch-intake.ts";
import type { BatchStore } from "#shared/store/batch-store.ts";
import type { Claiming, ClaimStore } from "#shared/store/claim-store.ts";

export interface CommitOnceDeps {
  readonly claims: ClaimStore;
  readonly batches: Pick<BatchStore, "find">;
}

interface ClaimedBatch {
  readonly batch: NewBatch;
  readonly intake: OpenIntake;
  readonly idempotencyKey: string;
  /** Tells requests apart; see ClaimedWork. */
  readonly print: string;
}

/** Who has the idempotency key makes its batch at once, or never. */
const longestWaitMs = 3000;
const lookEveryMs = 50;

/**
 * Makes the batch, unless the same request has made one under this idempotency key or is about to. Resolves with the id
 * of the batch there is then. Rejects like a claim and like a commit; what was stored for nothing is deleted.
 */
export async function commitOnce(claimed: ClaimedBatch, deps: CommitOnceDeps): Promise<string> {
  const { batch, intake, idempotencyKey, print } = claimed;
  const { id, keyId, expiresAt: deadlineAt } = batch;
  const call = { id, lane: "background", deadlineAt, channel: "" } as const;
  let claiming = await deps.claims.claim({ keyId, idempotencyKey }, { kind: "batch", print, call });
  while (claiming.state === "theirs") {
    const theirId = claiming.work.call.id;
    if (await appears({ keyId, id: theirId }, deps)) {
      await intake.discard();
      return theirId;
    }
    claiming = await claiming.retake();
  }
  return commitOurs(claimed, claiming);
}

async function commitOurs(
  { batch, intake }: ClaimedBatch,
  { claim }: Claiming & { readonly state: "ours" },
): Promise<string> {
  try {
    await intake.commit();
    return batch.id;
  } catch (reason) {
    // First, so that nobody who gets the key finds a batch that is about to go.
    await intake.discard();
    await claim.release();
    throw reason;
  }
}

async function appears(
  { keyId, id }: { readonly keyId: string; readonly id: string },
  { batches }: CommitOnceDeps,
): Promise<boolean> {
  const until = Date.now() + longestWaitMs;
  for (;;) {
    if (await batches.find(keyId, id)) return true;
    if (Date.now() >= until) return false;
    await sleep(lookEveryMs);
  }
}
