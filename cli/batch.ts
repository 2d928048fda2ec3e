/** The counts of a batch's requests by where they stand. */
export interface Counts {
  readonly processing: number;
  readonly succeeded: number;
  readonly errored: number;
  readonly canceled: number;
  readonly expired: number;
}

/** A Message Batch as the gateway answers; `progress` are the counts while it runs, which `request_counts` hold back. */
export interface Batch {
  readonly id: string;
  readonly processing_status: "in_progress" | "canceling" | "ended";
  readonly request_counts: Counts;
  readonly progress?: Counts;
  readonly created_at: string;
  readonly expires_at: string;
  readonly ended_at: string | null;
}

export const batchesPath = "/v1/messages/batches";

export function batchPath(id: string, more = ""): string {
  return `${batchesPath}/${encodeURIComponent(id)}${more}`;
}

export function countsOf(batch: Batch): Counts {
  return batch.processing_status === "ended" ? batch.request_counts : (batch.progress ?? batch.request_counts);
}

export function totalOf({ processing, ...done }: Counts): { readonly done: number; readonly total: number } {
  const sum = done.succeeded + done.errored + done.canceled + done.expired;
  return { done: sum, total: sum + processing };
}

/** Whether each of its requests has its answer. */
export function isAllWell({ request_counts: counts }: Batch): boolean {
  return counts.errored + counts.canceled + counts.expired === 0;
}

/** `40 succeeded, 2 errored`: what there is, in words. */
export function describeCounts(counts: Counts): string {
  const said = (["succeeded", "errored", "canceled", "expired", "processing"] as const)
    .filter((name) => counts[name] > 0)
    .map((name) => `${counts[name]} ${name}`);
  return said.length === 0 ? "nothing" : said.join(", ");
}
