import type { ProviderBatch } from "#shared/messages/native-batch.ts";
import { readNativeResult } from "#shared/messages/native-result.ts";
import type { BatchRecord } from "#shared/store/batch-record.ts";
import type { NativeRun } from "#shared/store/native-runs.ts";
import { itemCallId } from "../batches/item-job.ts";
import { askWorker, readLines, type AskDeps } from "./ask-worker.ts";

/** The provider's batch; `none`: it never got there; `unsure`: one that may be it still runs there. */
export type Found = { readonly id: string } | "none" | "unsure";

/** The clocks of two houses differ. */
const slackMs = 60_000;
const mostPages = 20;

/**
 * Looks for the batch that a run was sent as when its answer was never heard: what a provider lists says nothing of
 * its requests, but its results name them. Rejects when the provider cannot be asked now.
 */
export async function findSent(batch: BatchRecord, run: NativeRun, deps: AskDeps): Promise<Found> {
  const since = (run.startedAt ?? 0) - slackMs;
  const ours = new Set(run.items.map((index) => itemCallId(batch.id, index)));
  let isUnsure = false;
  for await (const listed of listSince(batch, run, { ...deps, since })) {
    const total = Object.values(listed.request_counts).reduce((sum, count) => sum + count, 0);
    if (total > run.items.length) continue;
    if (listed.processing_status !== "ended") isUnsure = true;
    else if (await isOurs(batch, { ours, provider: run.provider, id: listed.id }, deps)) return { id: listed.id };
  }
  return isUnsure ? "unsure" : "none";
}

interface Page {
  readonly data: readonly ProviderBatch[];
  readonly has_more?: boolean;
}

async function* listSince(
  { keyId, headers }: BatchRecord,
  { provider }: NativeRun,
  { since, ...deps }: AskDeps & { readonly since: number },
): AsyncGenerator<ProviderBatch> {
  let afterId: string | undefined;
  for (let page = 0; page < mostPages; page++) {
    const native = { step: "list", provider, ...(afterId === undefined ? undefined : { afterId }) } as const;
    const outcome = await askWorker({ keyId, headers, native }, deps);
    if (outcome.code !== "ok") throw new Error(`the provider's batches cannot be listed: ${outcome.status}`);
    const { data, has_more: hasMore } = JSON.parse(outcome.body.toString()) as Page;
    for (const listed of data) {
      if (Date.parse(listed.created_at) < since) return;
      yield listed;
    }
    afterId = data.at(-1)?.id;
    if (hasMore !== true || afterId === undefined) return;
  }
}

interface Candidate {
  readonly ours: ReadonlySet<string>;
  readonly provider: string;
  readonly id: string;
}

/** By its first result: custom_ids of ours are in no other batch. */
async function isOurs({ keyId, headers }: BatchRecord, candidate: Candidate, deps: AskDeps): Promise<boolean> {
  const native = { step: "results", provider: candidate.provider, id: candidate.id } as const;
  for await (const lines of readLines({ keyId, headers, native }, deps)) {
    const [first] = lines;
    if (first) return candidate.ours.has(readNativeResult(first).customId);
  }
  return false;
}
