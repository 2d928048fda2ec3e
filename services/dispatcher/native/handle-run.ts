import type { CreatedBatch, NativeStep, ProviderBatch } from "#shared/messages/native-batch.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { CallJob } from "#shared/queue/job.ts";
import type { JobContext, ParkUntil } from "#shared/queue/job-consumer.ts";
import type { JobProducer } from "#shared/queue/job-producer.ts";
import type { BatchFeed, FedItem } from "#shared/store/batch-feed.ts";
import type { BatchRecord } from "#shared/store/batch-record.ts";
import type { NativeRun, NativeRuns } from "#shared/store/native-runs.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { JobHandler } from "../handle-job.ts";
import { askWorker, type AskDeps } from "./ask-worker.ts";
import { findSent } from "./find-sent.ts";
import type { FindNativeTarget } from "./native-targets.ts";
import { recordResults, type RecordDeps } from "./record-results.ts";
import { refuseItems, releaseRun, reserveRun, withPeriod, type Admission, type RunBudgetDeps } from "./run-budget.ts";
import { nativeItems, newRun, runJob } from "./run-job.ts";

export interface RunHandlerDeps extends RunBudgetDeps, Omit<RecordDeps, "signal" | "budgets"> {
  readonly runs: NativeRuns;
  readonly feed: Pick<BatchFeed, "read" | "describe">;
  readonly producer: Pick<JobProducer, "add">;
  readonly nativeTargetOf: FindNativeTarget;
  readonly logger: Logger;
}

const troubleMs = 5000;
const unsureMs = 30_000;
/** Until money is looked for again that others hold. */
const heldMs = 5000;
const shortestPollMs = 2000;
const longestPollMs = 60_000;
/** What is not there yet may still be on its way, from a dispatcher that was taken for lost. */
const onItsWayMs = 60_000;
/** A provider that turns a batch away so often gets its items one by one. */
const mostRefusals = 5;

/** Handles jobs that see a provider's batch through, and leaves all others to `handleJob`. */
export function withRuns(handleJob: JobHandler, deps: RunHandlerDeps): JobHandler {
  return (job, context) => {
    const { record } = job;
    return record?.kind === "run" ? handleRun(job, record.batchId, { ...deps, context }) : handleJob(job, context);
  };
}

interface Stepping extends RunHandlerDeps, AskDeps {
  readonly batch: BatchRecord;
  readonly run: NativeRun;
}

/** One step of a run, and when the next is due; undefined when it is over. What is not known is asked for again. */
async function handleRun(
  { head }: CallJob,
  batchId: string,
  { context, ...deps }: RunHandlerDeps & { readonly context: JobContext },
): Promise<ParkUntil | undefined> {
  try {
    const run = await deps.runs.get(batchId, head.id);
    const batch = run && (await deps.feed.read(batchId));
    if (!run || !batch) return undefined;
    const stepping = { ...deps, signal: context.signal, batch, run };
    const pauseMs = run.batchId === undefined ? await begin(stepping) : await follow(stepping, run.batchId);
    return pauseMs === undefined ? undefined : { parkUntil: Math.round(Date.now() + pauseMs) };
  } catch (reason) {
    if (context.signal.aborted) return undefined;
    deps.logger.warn({ batchId, runId: head.id, err: reason }, "a provider's batch could not be seen to");
    return { parkUntil: Date.now() + troubleMs };
  }
}

/** Nobody's business any more: what has not ended, if the batch goes on, runs as ordinary calls. */
async function giveUp(stepping: Stepping): Promise<undefined> {
  const { runs, batch, run } = stepping;
  await releaseRun(batch, run, stepping);
  await runs.remove(batch.id, run.id);
}

function isClosing({ state, expiresAt }: BatchRecord): boolean {
  return state !== "in_progress" || Date.now() >= expiresAt;
}

/** Sends the run, unless it has been sent. */
async function begin(stepping: Stepping): Promise<number | undefined> {
  const { batch, run, runs } = stepping;
  if (run.startedAt !== undefined) {
    const found = await findSent(batch, run, stepping);
    if (typeof found === "object") {
      await runs.put(batch.id, { ...run, batchId: found.id });
      return 0;
    }
    if (found === "unsure") return isClosing(batch) ? giveUp(stepping) : unsureMs;
    if (Date.now() < run.startedAt + onItsWayMs) return troubleMs;
  }
  if (isClosing(batch)) return giveUp(stepping);
  const items = await stepping.feed.describe(batch.id, run.items);
  const holding = { ...stepping, run: await withPeriod(batch, run, stepping) };
  const admission = await reserveRun(batch, { provider: run.provider, items }, stepping);
  const { refusal } = admission;
  if (refusal?.shouldRetry === false)
    await refuseItems(batch, { items: items.slice(admission.admitted), refusal }, stepping);
  if (admission.admitted === 0) return refusal?.shouldRetry === true ? heldMs : giveUp(holding);
  return send(holding, items, admission);
}

/** Sends those of the items that the budget lets in; what waits for money becomes a run of its own. */
async function send(
  stepping: Stepping,
  items: readonly FedItem[],
  { admitted, refusal }: Admission,
): Promise<number | undefined> {
  const { batch, runs } = stepping;
  const sent = items.slice(0, admitted);
  const run = { ...stepping.run, items: sent.map(({ index }) => index) };
  const body = Buffer.from(JSON.stringify(nativeItems(batch.id, sent, stepping.nativeTargetOf)));
  // Before anything is sent: from now on the provider may have it.
  await runs.put(batch.id, { ...run, startedAt: Date.now() });
  const waiting = refusal?.shouldRetry === true ? items.slice(admitted) : [];
  const rest = waiting.map(({ index }) => index);
  await splitOff(stepping, rest);
  const sending = { ...stepping, run };
  const outcome = await ask(sending, { step: "create" }, body);
  if (outcome.code === "ok") return keep(sending, JSON.parse(outcome.body.toString()) as CreatedBatch);
  return turnedAway(sending, outcome);
}

/** What is left of a run goes on by itself. Until it is known as a run, its items are taken for such as have lost their jobs. */
async function splitOff({ batch, run, runs, producer }: Stepping, items: readonly number[]): Promise<void> {
  if (items.length === 0) return;
  const next = newRun(batch.id, run.provider, items);
  await runs.put(batch.id, next);
  await producer.add("background", runJob(batch, next));
}

/** The provider has it; what there was no room for becomes a run of its own. */
async function keep(stepping: Stepping, { batch: made, included }: CreatedBatch): Promise<number> {
  const { batch, run, runs, logger } = stepping;
  const rest = run.items.slice(included);
  await runs.put(batch.id, { ...run, startedAt: Date.now(), batchId: made.id, items: run.items.slice(0, included) });
  logger.info(
    { batchId: batch.id, provider: run.provider, providerBatchId: made.id, items: included },
    "batch sent on",
  );
  await splitOff(stepping, rest);
  return shortestPollMs;
}

async function turnedAway(stepping: Stepping, outcome: Outcome): Promise<number | undefined> {
  const { batch, run, runs, logger } = stepping;
  const { status } = outcome;
  const lastAttempt = outcome.attempts.at(-1);
  const isUnknown =
    lastAttempt === undefined ? status >= 500 && status !== 529 : lastAttempt.reason !== "connect_failed";
  // It may have been taken all the same; that is looked for the next time.
  if (isUnknown) return troubleMs;
  const refusals = (run.refusals ?? 0) + 1;
  const isFinal = lastAttempt === undefined && status !== 429 && status !== 529;
  if (isFinal || refusals > mostRefusals) {
    logger.warn({ batchId: batch.id, provider: run.provider, status }, "no batch at the provider, items run as calls");
    return giveUp(stepping);
  }
  // While it waits others may have the money.
  await releaseRun(batch, run, stepping);
  const { startedAt: _, period: _released, ...unsent } = run;
  await runs.put(batch.id, { ...unsent, refusals });
  return Math.max(1000 * Number(outcome.headers["retry-after"] ?? 0), troubleMs * refusals);
}

/** Asks how far the provider is, tells it of a cancel, and takes its results. */
async function follow(stepping: Stepping, id: string): Promise<number | undefined> {
  const { batch, run, runs } = stepping;
  const mustCancel = isClosing(batch) && run.isCancelAsked !== true;
  if (mustCancel) await ask(stepping, { step: "cancel", id });
  const outcome = await ask(stepping, { step: "retrieve", id });
  if (outcome.code !== "ok") return outcome.status === 404 ? giveUp(stepping) : longestPollMs;
  if (mustCancel) await runs.put(batch.id, { ...run, isCancelAsked: true });
  const { processing_status: status } = JSON.parse(outcome.body.toString()) as ProviderBatch;
  if (status !== "ended") {
    if (batch.state === "ended") return giveUp(stepping);
    return isClosing(batch) ? shortestPollMs : pollMs(run);
  }
  await recordResults(batch, { ...run, batchId: id }, stepping);
  return giveUp(stepping);
}

/** A young batch may be done soon; an old one takes its time. */
function pollMs({ startedAt = 0 }: NativeRun): number {
  return Math.min(longestPollMs, Math.max(shortestPollMs, (Date.now() - startedAt) / 10));
}

function ask({ batch, run, ...deps }: Stepping, step: NativeStep, body?: Buffer): Promise<Outcome> {
  const { keyId, headers } = batch;
  const native = { ...step, provider: run.provider };
  return askWorker({ keyId, headers, native, ...(body ? { body } : undefined) }, deps);
}
