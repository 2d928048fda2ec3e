import { pendingItems, type BatchRecord } from "#shared/store/batch-record.ts";

/** A batch as the API shows it, with `progress` beside it: the counts as they are at the moment. */
export function describeBatch(batch: BatchRecord, resultsUrl: string): object {
  const { ends, total, state, endedAt, cancelledAt } = batch;
  const hasEnded = state === "ended";
  const isArchived = Date.now() >= batch.keepUntil;
  const processing = pendingItems(batch);
  return {
    id: batch.id,
    type: "message_batch",
    processing_status: state,
    request_counts: hasEnded
      ? { processing: 0, ...ends }
      : { processing: total, succeeded: 0, errored: 0, canceled: 0, expired: 0 },
    created_at: instant(batch.createdAt),
    expires_at: instant(batch.expiresAt),
    ended_at: endedAt === undefined ? null : instant(endedAt),
    cancel_initiated_at: cancelledAt === undefined ? null : instant(cancelledAt),
    archived_at: isArchived ? instant(batch.keepUntil) : null,
    results_url: hasEnded && !isArchived ? resultsUrl : null,
    progress: { processing, ...ends, rerun: batch.rerun },
  };
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
