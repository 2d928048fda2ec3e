import { canceledItem, expiredItem, type ItemResult } from "#shared/messages/batch-result.ts";
import { readNativeResult, type NativeResult } from "#shared/messages/native-result.ts";
import type { BatchRecord } from "#shared/store/batch-record.ts";
import type { ItemStore } from "#shared/store/item-store.ts";
import type { NativeRun } from "#shared/store/native-runs.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";
import { itemCallId } from "../batches/item-job.ts";
import { readLines, type AskDeps } from "./ask-worker.ts";

export interface RecordDeps extends AskDeps {
  readonly items: Pick<ItemStore, "record">;
  readonly metrics: Pick<Metrics, "batchItemsTotal">;
}

/** Errors that another try may not meet; everything else is the caller's own. */
const retryable: ReadonlySet<string> = new Set([
  "api_error",
  "overloaded_error",
  "rate_limit_error",
  "timeout_error",
  "authentication_error",
  "permission_error",
  "billing_error",
]);

/**
 * Records how the items of a run ended at their provider; those that may end better as ordinary calls are left alone.
 * Twice is harmless. Rejects when the results could not be read to their end.
 */
export async function recordResults(
  batch: BatchRecord,
  run: NativeRun & { readonly batchId: string },
  deps: RecordDeps,
): Promise<void> {
  const { keyId, headers } = batch;
  const indexes = new Map(run.items.map((index) => [itemCallId(batch.id, index), index]));
  const native = { step: "results", provider: run.provider, id: run.batchId } as const;
  for await (const lines of readLines({ keyId, headers, native }, deps))
    await Promise.all(
      lines.map(async (line) => {
        const result = readNativeResult(line);
        const index = indexes.get(result.customId);
        const end = endOf(result, batch);
        if (index === undefined || !end) return;
        const recorded = await deps.items.record({ batchId: batch.id, index, keyId }, end, false);
        if (recorded === "recorded") deps.metrics.batchItemsTotal.inc({ end: end.end });
      }),
    );
}

/** Undefined for what is to be finished as an ordinary call. */
function endOf({ type, payload, errorType = "" }: NativeResult, batch: BatchRecord): ItemResult | undefined {
  if (type === "succeeded" && payload) return { end: "succeeded", payload: Buffer.from(payload) };
  if (type === "errored" && payload && !retryable.has(errorType))
    return { end: "errored", payload: Buffer.from(payload) };
  if (type === "canceled" && batch.state === "canceling") return canceledItem;
  return type === "expired" && Date.now() >= batch.expiresAt ? expiredItem : undefined;
}
