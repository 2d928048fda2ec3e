import type { SluiceConfig } from "#shared/config/schema.ts";
import type { CallBody, CallHead, WorkerCall } from "#shared/messages/call.ts";
import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { Catalogue } from "#shared/routing/catalogue.ts";
import type { CallContext, CallHandler, StreamSink } from "#shared/rpc/call-handler.ts";
import type { AffinityStore } from "#shared/store/affinity.ts";
import type { BodyStore } from "#shared/store/body-store.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { estimateOutcome } from "./count-estimate.ts";
import type { MakeAttempt } from "./engine/attempt-order.ts";
import { createCallRun, type CallRun } from "./engine/call-run.ts";
import { concludeStop, type Verdict } from "./engine/conclude.ts";
import { createCounterless, hasNoCounter, nobodyCounts, type Counterless } from "./engine/counterless.ts";
import type { EngineDeps } from "./engine/engine-deps.ts";
import { runAttempts } from "./engine/run-attempts.ts";
import { createStreamAttempts, type StreamLimits } from "./engine/stream-attempt.ts";
import { toOutcome, toTrailer } from "./engine/to-outcome.ts";
import { makeWholeAttempt } from "./engine/whole-attempt.ts";
import { invokeNative, streamNative } from "./native/handle-native.ts";
import { createPlaces, type Places } from "./places.ts";

export interface CallHandlerDeps {
  readonly engine: EngineDeps;
  readonly catalogue: Catalogue;
  readonly affinity: AffinityStore;
  readonly bodies: Pick<BodyStore, "read">;
  readonly streams: StreamLimits;
  readonly logger: Logger;
}

interface Handling extends CallHandlerDeps {
  readonly places: Places;
  readonly counterless: Counterless;
}

/** How long content is waited for once `message_start` has come. */
const holdMs = 2_000;

export function streamLimits(config: SluiceConfig): StreamLimits {
  return {
    headersTimeoutMs: config.engine.headersTimeoutMs,
    idleMs: config.server.streamIdleMs,
    maxStreamMs: config.server.maxStreamMs,
    holdMs,
  };
}

/** Carries calls out: body, plan, attempts, and what must be known afterwards. */
export function createCallHandler(deps: CallHandlerDeps): CallHandler {
  const native = { providers: deps.engine.providers, bodies: deps.bodies };
  const handling: Handling = { ...deps, places: createPlaces(deps), counterless: createCounterless() };
  return {
    invoke: async (call, context) => {
      if (call.head.native) return invokeNative(call, context, native);
      const run = await prepare(call, context, handling);
      if ("status" in run) return run;
      const verdict = await carryOut(run, makeWholeAttempt, handling);
      await noteServed(run, verdict, handling);
      if (run.head.operation === "count_tokens" && isUncounted(run, verdict, handling))
        return estimateOutcome(run.head, run.body, run);
      return toOutcome(run, verdict);
    },
    stream: async (call, sink, context) => {
      if (call.head.native) return streamNative(call, sink, { context, deps: native });
      const run = await prepare(call, context, handling);
      if ("status" in run) return sink.outcome(run);
      return streamCall(run, sink, handling);
    },
  };
}

async function streamCall(run: CallRun, sink: StreamSink, handling: Handling): Promise<void> {
  const { places } = handling;
  let bound: Promise<void> | undefined;
  const makeAttempt = createStreamAttempts(
    {
      sink,
      // At once: a client may go on with the thread as soon as it has read the stream's last event.
      onBegin: ({ target }, observer) => {
        bound = places.bind(run, target, { messageId: observer.messageId, containerId: undefined });
      },
    },
    handling.streams,
  );
  const verdict = await carryOut(run, makeAttempt, handling);
  if (verdict.kind !== "delivered" || !verdict.end.begun) return sink.outcome(toOutcome(run, verdict));
  await bound;
  await noteServed(run, verdict, handling);
  sink.end(toTrailer(run, verdict.target, verdict.end));
}

/** The call with its body and plan, or the answer that there is none. */
async function prepare(call: WorkerCall, context: CallContext, handling: Handling): Promise<CallRun | Outcome> {
  const { head } = call;
  try {
    const body = await readBody(call.body, head, handling);
    const plan = await handling.places.plan(head);
    const notes = handling.engine.board.shared ? [...plan.notes] : [...plan.notes, "redis_away"];
    const run = createCallRun(
      { head, body, targets: plan.targets, signal: context.signal, tellSent: (note) => context.sent(note), notes },
      call.sentBefore,
    );
    if (head.operation === "count_tokens") strikeCounterless(run, handling);
    return run;
  } catch (reason) {
    if (!(reason instanceof GatewayError)) handling.logger.error({ err: reason, callId: head.id }, "call not prepared");
    return errorOutcome(toGatewayError(reason), head.id);
  }
}

async function readBody(body: CallBody, head: CallHead, { bodies }: Handling): Promise<Buffer> {
  if ("bytes" in body) return body.bytes;
  const bytes = await bodies.read(body.key).catch((cause: unknown) => {
    throw new GatewayError("overloaded", "The call's body cannot be read at the moment.", { retryAfterS: 1, cause });
  });
  if (bytes) return bytes;
  if (Date.now() >= head.deadlineAt) throw new GatewayError("timed_out", "The time for this call is up.");
  throw new GatewayError("internal", "The call's body is no longer stored.");
}

function strikeCounterless(run: CallRun, { counterless, engine }: Handling): void {
  for (const target of run.targets) {
    const { provider } = target;
    const counts = engine.providers.get(provider)?.adapter.counts ?? true;
    if (!counts || counterless.has(target)) run.struck.add(target);
  }
}

async function carryOut(run: CallRun, makeAttempt: MakeAttempt, { engine }: Handling): Promise<Verdict> {
  if (run.isUnanswered && !mayRerunLost(run, engine)) return concludeStop(run, "worker_lost");
  const onAbort = (): void => run.exchange?.abort("caller gone");
  run.signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await runAttempts(run, makeAttempt, engine);
  } finally {
    run.signal.removeEventListener("abort", onAbort);
  }
}

/** The rule of the provider that a lost worker had asked. */
function mayRerunLost(run: CallRun, engine: EngineDeps): boolean {
  const asked = run.attempts[0]?.provider ?? "";
  return engine.providers.get(asked)?.config.rerunSent ?? engine.config.rerunSent;
}

/** What a served call leaves behind: its tokens counted, its conversation's place, its thread and container bound. */
async function noteServed(run: CallRun, verdict: Verdict, { engine, places }: Handling): Promise<void> {
  if (verdict.kind !== "delivered") return;
  const { target, end } = verdict;
  const usage = end.answer?.usage ?? end.begun?.usage;
  if (usage) engine.attemptMetrics.tokens(target, usage);
  if (end.reason !== "ok") return;
  places.remember(run, target);
  const containerId = end.answer?.containerId ?? end.begun?.containerId;
  const bound = places.bind(run, target, { messageId: end.answer?.messageId, containerId });
  if (bound) await bound;
}

/** Also remembers who was found to have no counter. */
function isUncounted(run: CallRun, verdict: Verdict, { counterless }: Handling): boolean {
  if (verdict.kind === "cancelled" || (verdict.kind === "delivered" && verdict.end.reason === "ok")) return false;
  for (const [target, end] of run.ends) if (hasNoCounter(end)) counterless.remember(target);
  return nobodyCounts(run);
}
