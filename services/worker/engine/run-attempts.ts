import { fullJitter } from "#shared/runtime/backoff.ts";
import { sleep } from "#shared/runtime/deadline.ts";
import type { Wait } from "#shared/messages/outcome.ts";
import type { PlannedTarget } from "#shared/routing/plan.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import type { AttemptOrder, MakeAttempt } from "./attempt-order.ts";
import { sentBetas } from "./call-betas.ts";
import { noteOnce, type CallRun } from "./call-run.ts";
import { conclude, concludeStop, type Verdict } from "./conclude.ts";
import { decideNext, type EngineRules, type NextMove } from "./decide-next.ts";
import type { EngineDeps } from "./engine-deps.ts";
import { noteEnd } from "./note-end.ts";
import type { Pace } from "./pace.ts";
import { prepareAttempt, type PreparedAttempt } from "./prepare-attempt.ts";
import { createProgress, type Progress } from "./progress.ts";
import { renewCredential } from "./renew-credential.ts";
import { limitTarget } from "./target-key.ts";
import { availability, findObstacles, pickFreeTarget, pickTarget, type Picked } from "./pick-target.ts";

/** A worker waits so long in all for a target to come free; longer waits belong to the call's owner. */
const longestWaitMs = 250;

/** Makes attempts until the call has its answer or nothing more may be tried. Never rejects. */
export async function runAttempts(run: CallRun, makeAttempt: MakeAttempt, deps: EngineDeps): Promise<Verdict> {
  const progress = createProgress(run);
  for (;;) {
    if (run.signal.aborted) return { kind: "cancelled" };
    if (Date.now() >= run.deadlineAt) return concludeStop(run, "timed_out");
    const picked = await pick(run, progress, deps);
    if (picked) {
      const verdict = await tryTarget({ run, progress, picked, makeAttempt }, deps);
      if (verdict) return verdict;
      continue;
    }
    const pauseMs = shortPauseMs(run, progress, deps);
    if (pauseMs === undefined) return conclude(run, deps);
    progress.waitedMs += pauseMs;
    await rest(run, "capacity", pauseMs);
  }
}

async function pick(run: CallRun, progress: Progress, deps: EngineDeps): Promise<Picked | undefined> {
  if (progress.preferred === undefined) {
    const target = pickFreeTarget(run, deps);
    if (target) return { target };
  }
  return pickTarget(run, progress.preferred, deps);
}

interface Step {
  readonly run: CallRun;
  readonly progress: Progress;
  readonly picked: Picked;
  readonly makeAttempt: MakeAttempt;
}

/** One attempt and what follows from it; undefined when another one is to be made. */
async function tryTarget(step: Step, deps: EngineDeps): Promise<Verdict | undefined> {
  const { run, progress, picked } = step;
  const { target } = picked;
  const preparing = prepareAttempt(run, target, deps);
  const prepared = preparing instanceof Promise ? await preparing : preparing;
  if (!prepared) {
    picked.probe?.end();
    run.struck.add(target);
    return undefined;
  }
  if ("reason" in prepared) return endUnsent(step, prepared, deps);
  const order = makeOrder(step, prepared, deps);
  const { isRerun } = progress;
  progress.isRerun = false;
  if (isRerun) deps.metrics.possibleDoubleChargeTotal.inc({ provider: target.provider, model: target.model });
  const pace = paceOf(run, target, deps);
  const priority = run.head.priority ?? "interactive";
  pace?.begin(priority, Date.now());
  const end = await step.makeAttempt(order);
  run.exchange = undefined;
  const isRenewed = renewCredential({ target, prepared, end }, progress);
  noteEnd({ target, end, isRerun, isRenewed, probe: picked.probe }, run, deps);
  pace?.end(priority, end, deps.board.state(target.provider, target.model).blockedUntil);
  return follow(moveAfter(step, { order, prepared, end, isRenewed }, deps), { ...step, end }, deps);
}

interface Made {
  readonly order: AttemptOrder;
  readonly prepared: PreparedAttempt;
  readonly end: AttemptEnd;
  readonly isRenewed: boolean;
}

/** What follows an attempt; flags that are to be left out are remembered for the next ones. */
function moveAfter(
  { run, progress, picked }: Step,
  { order, prepared, end, isRenewed }: Made,
  deps: EngineDeps,
): NextMove {
  const { target } = picked;
  const dropping = progress.betasDropped?.has(target) ? noFlags : betasToDrop(run, prepared, end);
  const move = decideNext(
    {
      reason: end.reason,
      sent: end.sent,
      begun: end.begun !== undefined,
      retriesHere: progress.retries.get(target) ?? 0,
      rerunUsed: run.rerunUsed,
      betasToDrop: dropping.length > 0,
      credentialRenewed: isRenewed,
    },
    rulesOf(order, deps),
  );
  if (move === "retry_without_betas") deps.betas.remember(target, dropping, Date.now());
  return move;
}

/** Counting tokens has limits of its own, which are not worth a pace. */
function paceOf({ head }: CallRun, target: PlannedTarget, { paces }: EngineDeps): Pace | undefined {
  return head.operation === "messages" ? paces.of(target) : undefined;
}

/** Nothing went out, so a rerun is still to be made. */
function endUnsent(step: Step, end: AttemptEnd, deps: EngineDeps): Promise<Verdict | undefined> {
  const { run, picked } = step;
  noteEnd({ target: picked.target, end, isRerun: false, isRenewed: false, probe: picked.probe }, run, deps);
  const untouched = { sent: false, begun: false, retriesHere: 0, betasToDrop: false, credentialRenewed: false };
  const move = decideNext({ ...untouched, reason: end.reason, rerunUsed: run.rerunUsed }, deps.config);
  return follow(move, { ...step, end }, deps);
}

function makeOrder({ run, picked }: Step, prepared: PreparedAttempt, deps: EngineDeps): AttemptOrder {
  const { provider, request, call: context } = prepared;
  const { laterDeadline } = deps;
  return { run, target: picked.target, provider, request, context, laterDeadline, ...probeHooks(run, picked, deps) };
}

type ProbeHooks = Pick<AttemptOrder, "onStatus" | "onContent">;

const noProbe: ProbeHooks = { onStatus: () => undefined, onContent: () => undefined };

/** A trial passes as early as can be told, so that the other calls need not wait for a long answer's end. */
function probeHooks(run: CallRun, { target, probe }: Picked, deps: EngineDeps): ProbeHooks {
  if (!probe) return noProbe;
  if (probe.kind === "reset")
    return { ...noProbe, onStatus: (status) => (status === 429 ? undefined : probe.passed()) };
  const onContent = (): void => {
    deps.breaker.succeeded(limitTarget(target, run.head.operation));
    probe.passed();
  };
  return { ...noProbe, onContent };
}

function rulesOf(order: AttemptOrder, deps: EngineDeps): EngineRules {
  return {
    rerunSent: order.provider.config.rerunSent ?? deps.config.rerunSent,
    sameTargetRetries: deps.config.sameTargetRetries,
  };
}

async function follow(
  move: NextMove,
  step: Step & { readonly end: AttemptEnd },
  deps: EngineDeps,
): Promise<Verdict | undefined> {
  const { run, progress, picked, end } = step;
  const { target } = picked;
  progress.preferred = undefined;
  switch (move) {
    case "deliver":
      return { kind: "delivered", target, end };
    case "stop":
      return concludeStop(run, end.reason, end);
    case "next":
      // A limit keeps its target away by itself, and may be over in milliseconds.
      if (end.reason !== "rate_limited") run.struck.add(target);
      return undefined;
    case "retry_same":
      return retrySame(step, deps);
    case "retry_without_betas":
      (progress.betasDropped ??= new Set()).add(target);
      run.notes.push("betas_dropped");
      progress.preferred = target;
      return undefined;
    case "retry_renewed":
      noteOnce(run, "credential_renewed");
      progress.preferred = target;
      return undefined;
    case "rerun":
      run.rerunUsed = true;
      progress.isRerun = true;
      progress.preferred = nextFree(run, target, deps) ?? target;
      return undefined;
    default:
      return move satisfies never;
  }
}

async function retrySame({ run, progress, picked }: Step, deps: EngineDeps): Promise<undefined> {
  const { target } = picked;
  // What failed may have opened the breaker: then there is nobody to wait for.
  if (availability(run, target, deps).kind !== "free") {
    run.struck.add(target);
    return undefined;
  }
  const retries = (progress.retries.get(target) ?? 0) + 1;
  progress.retries.set(target, retries);
  progress.preferred = target;
  const pauseMs = fullJitter(retries, { baseMs: deps.config.backoffBaseMs, maxMs: deps.config.backoffMaxMs });
  await rest(run, "backoff", pauseMs);
  return undefined;
}

function nextFree(run: CallRun, after: PlannedTarget, deps: EngineDeps): PlannedTarget | undefined {
  return run.targets.find(
    (target) => target !== after && !run.struck.has(target) && availability(run, target, deps).kind === "free",
  );
}

const noFlags: readonly string[] = [];

/** The flags that were refused and that the request carried; every one of them where the refusal names none. */
function betasToDrop(run: CallRun, { call }: PreparedAttempt, end: AttemptEnd): readonly string[] {
  const refused = end.failure?.refusedBetas;
  if (!refused) return noFlags;
  const sent = sentBetas(run, call.betas);
  return refused.length === 0 ? sent : sent.filter((flag) => refused.includes(flag));
}

/** How long to wait here for the soonest target; undefined when that is not worth holding a worker's call. */
function shortPauseMs(run: CallRun, progress: Progress, deps: EngineDeps): number | undefined {
  const { blockedUntil } = findObstacles(run, deps);
  if (blockedUntil === undefined) return undefined;
  const pauseMs = Math.max(1, Math.ceil(blockedUntil - Date.now()));
  return progress.waitedMs + pauseMs <= longestWaitMs ? pauseMs : undefined;
}

/** Waits, but no longer than the call's time, and no longer than its caller. */
async function rest(run: CallRun, kind: Wait["kind"], ms: number): Promise<void> {
  const startedAt = Date.now();
  const leftMs = Math.max(0, run.deadlineAt - startedAt);
  await sleep(Math.min(ms, leftMs), run.signal).catch(() => undefined);
  run.waits.push({ kind, startedAt, endedAt: Date.now() });
}
