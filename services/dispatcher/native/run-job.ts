import type { NativeItem } from "#shared/messages/native-item.ts";
import type { CallJob } from "#shared/queue/job.ts";
import type { FedItem } from "#shared/store/batch-feed.ts";
import type { BatchRecord } from "#shared/store/batch-record.ts";
import type { NativeRun } from "#shared/store/native-runs.ts";
import { callIdFrom, itemCallId } from "../batches/item-job.ts";
import type { FindNativeTarget } from "./native-targets.ts";

/** Items that a provider may get at a time; a larger batch becomes several there. */
export const mostInRun = 2000;

export function newRun(batchId: string, provider: string, items: readonly number[]): NativeRun {
  return { id: callIdFrom(`${batchId}/${items[0]}`), provider, items };
}

/** The job that sees a run through; always the same, so that it is in the lane once. */
export function runJob({ id: batchId, keyId, headers, createdAt, expiresAt }: BatchRecord, run: NativeRun): CallJob {
  return {
    version: 1,
    head: {
      id: run.id,
      operation: "messages",
      stream: false,
      priority: "background",
      keyId,
      model: run.provider,
      askedModel: run.provider,
      headers,
      splices: { model: { start: 0, end: 0 } },
      wishes: {},
      acceptedAt: createdAt,
      deadlineAt: expiresAt,
      waitUntil: expiresAt,
    },
    body: "",
    replyTo: "",
    enqueuedAt: Date.now(),
    record: { kind: "run", batchId },
  };
}

/** What a worker makes the provider's requests of. */
export function nativeItems(batchId: string, items: readonly FedItem[], targetOf: FindNativeTarget): NativeItem[] {
  return items.map(({ index, head, bodyKey }) => ({
    callId: itemCallId(batchId, index),
    bodyKey,
    askedModel: head.askedModel,
    model: targetOf(head)?.model ?? head.askedModel,
    splices: head.splices,
  }));
}
