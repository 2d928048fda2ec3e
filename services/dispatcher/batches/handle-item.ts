import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { SentNote } from "#shared/messages/call.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { CallJob } from "#shared/queue/job.ts";
import type { JobContext, ParkUntil } from "#shared/queue/job-consumer.ts";
import type { WorkerPool } from "#shared/rpc/worker-pool.ts";
import type { BudgetStore } from "#shared/store/budget-store.ts";
import type { ItemRef, ItemState, ItemStore } from "#shared/store/item-store.ts";
import { admitJob } from "../admit-job.ts";
import { runCall, type CallEnd, type JobHandler, type JobHandlerDeps } from "../handle-job.ts";
import { trailOf, wholeOutcome } from "../trail.ts";
import { itemHold, reserveItem, type ItemBudgetDeps } from "./item-budgets.ts";
import { itemOf } from "./item-job.ts";
import { carryRerun, endsUnanswered, retryHeldAt, retryItemAt, shortened, withoutEcho } from "./retry-item.ts";

export interface ItemHandlerDeps extends JobHandlerDeps, ItemBudgetDeps {
  readonly items: ItemStore;
  readonly pool: Pick<WorkerPool, "invoke" | "attach">;
  readonly budgets: Pick<BudgetStore, "reserve" | "settle">;
}

const lane = "background";
/** Sent by two deliveries and never heard of: it may have been paid twice, and is not sent a third time. */
const mostSendings = 2;

/** Handles jobs that are items of batches, and leaves all others to `handleJob`. */
export function withItems(handleJob: JobHandler, deps: ItemHandlerDeps): JobHandler {
  return (job, context) => {
    const item = itemOf(job);
    if (!item) return handleJob(job, context);
    const hold = itemHold({ callId: job.head.id, keyId: job.head.keyId, estimate: job.estimate }, deps);
    return handleItem({ job: hold ? { ...job, hold } : job, item, context }, deps);
  };
}

interface Handling {
  readonly job: CallJob;
  readonly item: ItemRef;
  readonly context: JobContext;
}

async function handleItem(handling: Handling, deps: ItemHandlerDeps): Promise<ParkUntil | undefined> {
  const { job, item, context } = handling;
  const takenAt = Date.now();
  countTaken(handling, takenAt, deps);
  let state: ItemState | undefined;
  const begin = async () => {
    state = await deps.items.begin(item);
    return { answered: state.isOver, cancelled: state.batch === "canceling" };
  };
  const admission = await admitJob(job, context, { ...deps, results: { begin } });
  if (context.signal.aborted || state?.isOver === true) return undefined;
  const ended = admission.drop
    ? { outcome: canceled(job) }
    : await runItem(handling, { state, doubtful: admission.doubtful }, deps);
  if (!ended || context.signal.aborted) return undefined;
  if (ended.outcome.stoodBack) deps.onStoodBack();
  const outcome = wholeOutcome(job, withoutEcho(job, ended.outcome), takenAt);
  const parking = await conclude(handling, { ...ended, outcome }, deps);
  const isAnswered = ended.outcome.attempts.length > 0 && !endsUnanswered(outcome.attempts);
  // What comes next is no repetition.
  if (parking && isAnswered) await deps.items.forgetSent(item).catch(() => undefined);
  // Not before: until the end is recorded another dispatcher can get it from the worker.
  ended.release?.();
  return parking;
}

function countTaken({ job, context }: Handling, takenAt: number, { metrics }: ItemHandlerDeps): void {
  if (context.redelivered) metrics.redeliveredTotal.inc({ lane });
  else if (!job.trail) metrics.queueWaitSeconds.observe({ lane }, Math.max(0, takenAt - job.enqueuedAt) / 1000);
}

/** Records the item's end, or says when it is to be tried again. */
async function conclude(
  { job, context }: Handling,
  { outcome, parkUntil }: CallEnd,
  deps: ItemHandlerDeps,
): Promise<ParkUntil | undefined> {
  const again = parkUntil ?? retryItemAt(job, outcome, Date.now());
  if (again !== undefined) {
    deps.metrics.parkedTotal.inc({ lane });
    // While it waits others may have the money.
    if (job.hold) deps.budgets.settle(job.hold, 0);
    return { parkUntil: again, trail: shortened(trailOf(outcome, Date.now())) };
  }
  await deps.settler.settle({ job, outcome }, context.signal);
  return undefined;
}

interface Known {
  readonly state: ItemState | undefined;
  readonly doubtful: boolean;
}

/** Undefined when the end is not ours to tell. */
async function runItem(handling: Handling, known: Known, deps: ItemHandlerDeps): Promise<CallEnd | undefined> {
  const { job, item, context } = handling;
  const sent = known.state?.sent;
  const mayBeHeld = context.redelivered || known.doubtful || sent !== undefined;
  if (sent !== undefined && sent.times >= mostSendings) return takeOver(handling, deps);
  const refused = await reserve(job, deps);
  if (refused || context.signal.aborted) return refused;
  let isNoted = false;
  const onSent = (note: SentNote): void => {
    if (isNoted) return;
    isNoted = true;
    // Should this process and the worker both be lost, the next delivery has to know.
    deps.items.noteSent(item, { ...note, times: (sent?.times ?? 0) + 1 }).catch(() => undefined);
  };
  const head = carryRerun(job);
  return runCall(
    { ...job, head },
    {
      ...context,
      redelivered: mayBeHeld,
      admission: { drop: false, canceled: false, doubtful: known.doubtful },
      onSent,
      ...(sent ? { sentBefore: { provider: sent.provider, model: sent.model, at: sent.at } } : undefined),
    },
    deps,
  );
}

/** Holds what the item may cost; else it ends, or waits for others to give back what they hold. */
async function reserve(job: CallJob, deps: ItemHandlerDeps): Promise<CallEnd | undefined> {
  const { id, deadlineAt } = job.head;
  if (!job.hold || Date.now() >= deadlineAt) return undefined;
  const refusal = await reserveItem(job.hold, deadlineAt, deps).catch(unknownBudget);
  if (!refusal) return undefined;
  const isFinal = refusal.shouldRetry === false;
  return { outcome: errorOutcome(refusal, id), parkUntil: isFinal ? undefined : retryHeldAt(job, Date.now()) };
}

function unknownBudget(cause: unknown): GatewayError {
  return new GatewayError("overloaded", "This key's budget cannot be looked up now.", { cause });
}

/** A worker may still hold the call; if none does, nobody will ever know. */
async function takeOver({ job, context }: Handling, deps: ItemHandlerDeps): Promise<CallEnd | undefined> {
  const { id } = job.head;
  const call = deps.running.open(id, job.head.deadlineAt);
  try {
    const held = await deps.pool.attach(id, { delivery: context.delivery, signal: call.signal });
    return { outcome: held ?? lost(job) };
  } catch (reason) {
    return toGatewayError(reason).code === "cancelled" ? undefined : { outcome: lost(job) };
  } finally {
    call.close();
  }
}

function lost({ head }: CallJob): Outcome {
  const words = "The processes that were asking a provider were lost, twice.";
  return errorOutcome(new GatewayError("internal", words, { shouldRetry: false }), head.id);
}

function canceled({ head }: CallJob): Outcome {
  return errorOutcome(new GatewayError("cancelled", "The batch was cancelled."), head.id);
}
