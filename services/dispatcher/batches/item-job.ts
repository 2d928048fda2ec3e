import { createHash } from "node:crypto";
import type { CallJob } from "#shared/queue/job.ts";
import type { FedItem } from "#shared/store/batch-feed.ts";
import type { BatchRecord } from "#shared/store/batch-record.ts";
import type { ItemRef } from "#shared/store/item-store.ts";

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const idLength = 24;

/** The call of an item, always the same: an item that is put into the lane twice is there once. */
export function itemCallId(batchId: string, index: number): string {
  return callIdFrom(`${batchId}#${index}`);
}

/** The call id that belongs to a text. */
export function callIdFrom(text: string): string {
  const digest = createHash("sha256").update(text).digest();
  let id = "call_";
  for (let at = 0; at < idLength; at++) id += alphabet[(digest[at] ?? 0) & 31] ?? "";
  return id;
}

/** The job that runs an item. `reopened`: it may have been opened before. */
export function itemJob(batch: BatchRecord, item: FedItem, reopened = false): CallJob {
  const { id: batchId, keyId, headers, createdAt, expiresAt } = batch;
  const { estimate, ...head } = item.head;
  return {
    version: 1,
    head: {
      ...head,
      id: itemCallId(batchId, item.index),
      operation: "messages",
      stream: false,
      priority: "background",
      keyId,
      headers,
      acceptedAt: createdAt,
      deadlineAt: expiresAt,
      waitUntil: expiresAt,
    },
    bodyKey: item.bodyKey,
    replyTo: "",
    enqueuedAt: Date.now(),
    record: { kind: "item", batchId, index: item.index },
    ...(estimate ? { estimate } : undefined),
    ...(reopened ? { reopened } : undefined),
  };
}

/** The item that a job runs; undefined for another kind of job. */
export function itemOf({ record, head }: CallJob): ItemRef | undefined {
  if (record?.kind !== "item") return undefined;
  return { batchId: record.batchId, index: record.index, keyId: head.keyId };
}
