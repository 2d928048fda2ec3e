import type { JobProducer } from "#shared/queue/job-producer.ts";
import type { BatchFeed, FedItem } from "#shared/store/batch-feed.ts";
import type { BatchRecord } from "#shared/store/batch-record.ts";
import type { NativeRun, NativeRuns } from "#shared/store/native-runs.ts";
import type { FindNativeTarget } from "./native-targets.ts";
import { mostInRun, newRun, runJob } from "./run-job.ts";

export interface RunFeedDeps {
  readonly runs: NativeRuns;
  readonly feed: Pick<BatchFeed, "take">;
  readonly producer: Pick<JobProducer, "add" | "remove">;
  readonly nativeTargetOf: FindNativeTarget;
}

const lane = "background";

/**
 * Makes runs of those items that have just been taken and of which a provider makes batches, with as many more of the
 * batch as fit. Resolves with the others.
 */
export async function divertToRuns(
  batch: BatchRecord,
  taken: readonly FedItem[],
  deps: RunFeedDeps,
): Promise<{ readonly calls: readonly FedItem[]; readonly made: readonly NativeRun[] }> {
  const { feed, nativeTargetOf } = deps;
  if (!taken.some(({ head }) => nativeTargetOf(head))) return { calls: taken, made: [] };
  const more = await feed.take(batch.id, mostInRun - taken.length, Number.MAX_SAFE_INTEGER);
  const all = typeof more === "string" ? taken : [...taken, ...more];
  const byProvider = Map.groupBy(all, ({ head }) => nativeTargetOf(head)?.provider);
  const made: NativeRun[] = [];
  for (const [provider, items] of byProvider) {
    if (provider === undefined) continue;
    const run = newRun(
      batch.id,
      provider,
      items.map(({ index }) => index),
    );
    // Until it is known as a run, the items are taken for such as have lost their jobs.
    await deps.runs.put(batch.id, run);
    made.push(run);
  }
  await addRunJobs(batch, made, deps);
  return { calls: byProvider.get(undefined) ?? [], made };
}

/** Those that are there stay as they are. */
export async function addRunJobs(
  batch: BatchRecord,
  runs: readonly NativeRun[],
  { producer }: Pick<RunFeedDeps, "producer">,
): Promise<void> {
  await Promise.all(runs.map((run) => producer.add(lane, runJob(batch, run)).catch(() => undefined)));
}

/** Lets runs that wait for their next look hear of a cancel. */
export async function wakeRuns(
  batch: BatchRecord,
  runs: readonly NativeRun[],
  { producer }: Pick<RunFeedDeps, "producer">,
): Promise<void> {
  for (const run of runs)
    if (run.isCancelAsked !== true && (await producer.remove(lane, run.id)) !== "running")
      await producer.add(lane, runJob(batch, run));
}

export function itemsOf(runs: readonly NativeRun[]): ReadonlySet<number> {
  return new Set(runs.flatMap(({ items }) => items));
}
