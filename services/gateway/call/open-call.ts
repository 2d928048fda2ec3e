import type { ServerResponse } from "node:http";
import type { CallHead } from "#shared/messages/call.ts";
import type { Bill } from "#shared/messages/cost.ts";
import { waitedMs, type CallFacts } from "#shared/messages/outcome.ts";
import { billCall } from "#shared/routing/bill-call.ts";
import type { Hold } from "#shared/store/budget-store.ts";
import type { Claim } from "#shared/store/claim-store.ts";
import { recordSpend } from "#shared/store/record-spend.ts";
import type { StoredTrace } from "#shared/store/trace-store.ts";
import { describeEnd } from "#shared/telemetry/describe-end.ts";
import { callMetrics, type CallMetrics } from "#shared/telemetry/call-metrics.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import type { CallLease } from "./call-lease.ts";

/** How a call ended, for its trace, its log line and its metrics. */
export interface CallEnd {
  readonly status: number;
  readonly requestId: string;
  readonly facts: CallFacts;
  /** What it costs, if that has been found out already. */
  readonly bill?: Bill | undefined;
  /** It was answered with another call's outcome, or never begun. */
  readonly isFree?: boolean;
  /** What it was told when the gateway refused it. */
  readonly error?: StoredTrace["error"];
  /** Which member or header that was about, in names of ours. */
  readonly where?: string | undefined;
  /** It goes on without its caller: what it costs is told by a later `end`. */
  readonly goesOn?: boolean;
}

export interface OpenCallOptions {
  readonly head: CallHead;
  readonly bytes: Buffer;
  readonly response: ServerResponse;
  readonly lease: CallLease;
  /** What the call holds of its key's budget. */
  readonly hold: Hold | undefined;
}

/** Facts of a call of which nothing was heard. */
export const noFacts = { attempts: [], waits: [], notes: [] } as const;

/** A call between its acceptance and its end. */
export class OpenCall {
  readonly head: CallHead;
  readonly bytes: Buffer;
  readonly response: ServerResponse;
  /** What the call holds of its caller's idempotency key. */
  claim: Claim | undefined;
  readonly #lease: CallLease;
  readonly #deps: GatewayDeps;
  readonly #metrics: CallMetrics;
  #firstContentAt: number | undefined;
  #ended = false;
  #hold: Hold | undefined;
  #isSettled = false;

  constructor(options: OpenCallOptions, deps: GatewayDeps) {
    this.head = options.head;
    this.bytes = options.bytes;
    this.response = options.response;
    this.#lease = options.lease;
    this.#hold = options.hold;
    this.#deps = deps;
    this.#metrics = callMetrics(options.head);
    this.#metrics.began();
  }

  contentBegan(now: number): void {
    this.#firstContentAt = now;
    this.#metrics.firstContent((now - this.head.acceptedAt) / 1000);
  }

  /** What an answer with these facts costs; undefined when nothing was used. */
  billOf(facts: CallFacts): Bill | undefined {
    return billCall(facts, { model: this.head.model, at: Date.now() }, this.#deps.prices);
  }

  /** What the call holds of its key's budget; from now on somebody else settles it. */
  takeHold(): Hold | undefined {
    const hold = this.#hold;
    this.#hold = undefined;
    return hold;
  }

  /** The call is a job from now on: it ends without this process. Gives back what it held; the job has the trace. */
  handOver(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#isSettled = true;
    if (this.#hold) this.#deps.budgets.settle(this.#hold, 0);
    this.#lease.release();
    const { head } = this;
    this.#metrics.ended("ok", (Date.now() - head.acceptedAt) / 1000);
    const { id: callId, keyId, operation, model } = head;
    this.#deps.logger.info({ callId, keyId, operation, model }, "job accepted");
  }

  /**
   * Gives back what the call held and writes down how it ended; the first time only. What it cost is settled once too: at
   * the first end that does not go on.
   */
  end(given: CallEnd): void {
    const bill = this.#isSettled ? undefined : (given.bill ?? this.billOf(given.facts));
    const end = { ...given, bill };
    if (given.goesOn !== true) this.#settle(end);
    if (this.#ended) return;
    this.#ended = true;
    this.#lease.release();
    const endedAt = Date.now();
    const { head } = this;
    const queueMs = waitedMs(end.facts.waits);
    this.#observeWait(end.facts);
    this.#metrics.ended(end.facts.code, (endedAt - head.acceptedAt) / 1000);
    if (end.facts.code === "cancelled")
      metrics.callersGoneTotal.inc({ operation: head.operation, stream: String(head.stream) });
    this.#deps.traces.put(this.#trace(end, { endedAt, queueMs }));
    this.#log(end, { ms: endedAt - head.acceptedAt, queueMs });
  }

  /** Its caller has left. */
  endCancelled(goesOn: boolean): void {
    this.end({ status: 499, requestId: this.head.id, facts: { ...noFacts, code: "cancelled" }, goesOn });
  }

  #settle({ facts, bill, isFree = false }: CallEnd): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    recordSpend({ head: this.head, facts, endedAt: Date.now(), bill, hold: this.#hold, isFree }, this.#deps);
  }

  #observeWait({ attempts, waits }: CallFacts): void {
    const asked = attempts[0];
    if (!asked) return;
    let elsewhereMs = 0;
    for (const wait of waits)
      if (wait.kind !== "queue" && wait.endedAt <= asked.startedAt) elsewhereMs += wait.endedAt - wait.startedAt;
    this.#deps.guard.observe(asked.startedAt - this.head.acceptedAt - elsewhereMs);
  }

  // Member by member: the facts of a whole answer come with its body, which has no business in a trace.
  #trace({ facts, bill, ...end }: CallEnd, times: { readonly endedAt: number; readonly queueMs: number }): StoredTrace {
    const { head } = this;
    return {
      id: head.id,
      requestId: end.requestId,
      keyId: head.keyId,
      operation: head.operation,
      stream: head.stream,
      model: head.model,
      status: end.status,
      code: facts.code,
      ...(end.error === undefined ? undefined : { error: end.error }),
      attempts: facts.attempts,
      waits: facts.waits,
      notes: withNotes(head, facts.notes),
      acceptedAt: head.acceptedAt,
      endedAt: times.endedAt,
      queueMs: times.queueMs,
      ...(facts.provider === undefined ? undefined : { provider: facts.provider }),
      ...(facts.usage === undefined ? undefined : { usage: facts.usage }),
      ...(bill === undefined ? undefined : { cost: bill.cost }),
      ...(this.#firstContentAt === undefined ? undefined : { firstContentAt: this.#firstContentAt }),
    };
  }

  #log(end: CallEnd, times: { readonly ms: number; readonly queueMs: number }): void {
    const { head } = this;
    const { facts } = end;
    this.#deps.logger.info(
      {
        callId: head.id,
        requestId: end.requestId,
        keyId: head.keyId,
        operation: head.operation,
        stream: head.stream,
        model: head.model,
        status: end.status,
        code: facts.code,
        where: end.where,
        ...describeEnd(facts, end.bill),
        notes: facts.notes.length === 0 ? undefined : facts.notes,
        ...times,
      },
      "call",
    );
  }
}

/** The gateway's own remarks go before those of whoever ran the call. */
function withNotes({ notes: own }: CallHead, notes: readonly string[]): readonly string[] {
  return own === undefined ? notes : [...own, ...notes];
}
