import type { ServerResponse } from "node:http";
import type { CallHead } from "#shared/messages/call.ts";
import { waitedMs, type CallFacts } from "#shared/messages/outcome.ts";
import type { Claim } from "#shared/store/claim-store.ts";
import type { StoredTrace } from "#shared/store/trace-store.ts";
import { callMetrics, type CallMetrics } from "#shared/telemetry/call-metrics.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import type { CallLease } from "./call-lease.ts";

/** How a call ended, for its trace, its log line and its metrics. */
export interface CallEnd {
  readonly status: number;
  readonly requestId: string;
  readonly facts: CallFacts;
}

export interface OpenCallOptions {
  readonly head: CallHead;
  readonly bytes: Buffer;
  readonly response: ServerResponse;
  readonly lease: CallLease;
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

  constructor(options: OpenCallOptions, deps: GatewayDeps) {
    this.head = options.head;
    this.bytes = options.bytes;
    this.response = options.response;
    this.#lease = options.lease;
    this.#deps = deps;
    this.#metrics = callMetrics(options.head);
    this.#metrics.began();
  }

  contentBegan(now: number): void {
    this.#firstContentAt = now;
    this.#metrics.firstContent((now - this.head.acceptedAt) / 1000);
  }

  /** The call is a job from now on: it ends without this process. Gives back what it held; the job has the trace. */
  handOver(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#lease.release();
    const { head } = this;
    this.#metrics.ended("ok", (Date.now() - head.acceptedAt) / 1000);
    const { id: callId, keyId, operation, model } = head;
    this.#deps.logger.info({ callId, keyId, operation, model }, "job accepted");
  }

  /** Gives back what the call held and writes down how it ended; the first time only. */
  end(end: CallEnd): void {
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

  #observeWait({ attempts, waits }: CallFacts): void {
    const asked = attempts[0];
    if (!asked) return;
    let elsewhereMs = 0;
    for (const wait of waits)
      if (wait.kind !== "queue" && wait.endedAt <= asked.startedAt) elsewhereMs += wait.endedAt - wait.startedAt;
    this.#deps.guard.observe(asked.startedAt - this.head.acceptedAt - elsewhereMs);
  }

  // Member by member: the facts of a whole answer come with its body, which has no business in a trace.
  #trace({ facts, ...end }: CallEnd, times: { readonly endedAt: number; readonly queueMs: number }): StoredTrace {
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
      attempts: facts.attempts,
      waits: facts.waits,
      notes: facts.notes,
      acceptedAt: head.acceptedAt,
      endedAt: times.endedAt,
      queueMs: times.queueMs,
      ...(facts.provider === undefined ? undefined : { provider: facts.provider }),
      ...(facts.usage === undefined ? undefined : { usage: facts.usage }),
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
        provider: facts.provider,
        attempts: facts.attempts.length,
        reason: facts.attempts.at(-1)?.reason,
        inputTokens: facts.usage?.input_tokens,
        outputTokens: facts.usage?.output_tokens,
        notes: facts.notes.length === 0 ? undefined : facts.notes,
        ...times,
      },
      "call",
    );
  }
}
