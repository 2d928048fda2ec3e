import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import { AddError, type JobProducer } from "#shared/queue/job-producer.ts";
import type { CallJob, Lane } from "#shared/queue/job.ts";
import type { Fate } from "#shared/store/result-store.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { answerFromOutcome } from "../answer-headers.ts";
import type { CallClock, Ticking } from "../call-clock.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { WholeReply } from "../whole-reply.ts";
import type { AbandonedJobs } from "./abandoned-jobs.ts";
import { behind, mayWaitUntil, type Trail } from "./capacity.ts";
import { invokeStraight } from "./invoke-straight.ts";
import { noFacts, type OpenCall } from "./open-call.ts";
import type { StraightLanes } from "./straight-lanes.ts";
import { nextQueuedStep, type QueuedEvent, type QueuedState } from "./queued-state.ts";

export interface QueuedCallDeps extends GatewayDeps {
  readonly clock: CallClock;
  readonly abandoned: AbandonedJobs;
  readonly straightLanes: StraightLanes;
  readonly onEnd: (call: QueuedCall) => void;
}

/** Bodies up to here travel in the job, larger ones lie in Redis once. */
const inlineBytes = 16_384;
/** How long a call waits for Redis before it goes its own way. */
const awayMs = 2000;
/** Who runs the call knows more of its end than we do, so it speaks first. */
const deadlineGraceMs = 500;
const askAgainMs = 100;
const askTries = 20;
const bodyMarginMs = 60_000;
/** Above every delivery a queue makes: a call that this gateway takes over is its own from then on. */
const takeoverDelivery = 1000;

/** A whole answer or a count on its way through the queue; its states are those of `queued-state.ts`, then ended. */
export class QueuedCall implements Ticking {
  readonly #call: OpenCall;
  readonly #deps: QueuedCallDeps;
  readonly #reply: WholeReply;
  readonly #lane: Lane;
  #state: QueuedState = "adding";
  #ended = false;
  #isTimeUp = false;
  /** True when a copy of the job may lie in Redis. */
  #mayBeQueued = false;
  #takeovers = 0;
  #bodyKey: string | undefined;
  #forget: (() => void) | undefined;
  #workers: AbortController | undefined;
  /** What came of it before it was queued. */
  #tried: Trail | undefined;

  constructor(call: OpenCall, deps: QueuedCallDeps) {
    this.#call = call;
    this.#deps = deps;
    this.#lane = call.head.operation === "count_tokens" ? "count" : (call.head.priority ?? "interactive");
    this.#reply = new WholeReply(call.response, {
      callId: call.head.id,
      acceptedAt: call.head.acceptedAt,
      heartbeatAfterMs: deps.server.heartbeatAfterMs,
      onLeft: () => this.#leave(),
    });
  }

  start(): void {
    this.#deps.clock.add(this);
    if (this.#deps.straightLanes.mayTry(this.#lane)) this.#try();
    else this.#enqueue();
  }

  #enqueue(): void {
    const { id } = this.#call.head;
    // Listen first: a fast job may be answered before its add has returned.
    this.#forget = this.#deps.replies.expect(id, (outcome) => {
      this.#deps.results.acknowledge(id);
      this.#finish(outcome);
    });
    this.#add();
  }

  #try(): void {
    this.#state = "trying";
    const { head, bytes } = this.#call;
    const { pool, straightLanes } = this.#deps;
    pool.invoke({ head, body: { bytes }, delivery: 1 }, { signal: this.#workersSignal(), keepOrphan: true }).then(
      (outcome) => {
        straightLanes.ended(this.#lane);
        this.#workers = undefined;
        if (mayWaitUntil(outcome, head) === undefined) return this.#finish(outcome);
        this.#tried = outcome;
        this.#happen("blocked");
      },
      (reason: unknown) => {
        straightLanes.ended(this.#lane);
        const error = toGatewayError(reason);
        if (error.code === "overloaded" && error.shouldRetry !== false) this.#happen("blocked");
        else this.#fail(error);
      },
    );
  }

  tick(now: number): void {
    this.#reply.tick(now);
    if (now > this.#call.head.deadlineAt + deadlineGraceMs) {
      if (!this.#isTimeUp) void this.#timeUp();
      return;
    }
    const since = this.#deps.replies.interruptedSince;
    if (since !== undefined && now - since > awayMs) this.#happen("interrupted");
  }

  /** The reply channel is whole again. */
  restored(): void {
    if (this.#state === "straight" && this.#mayBeQueued) void this.#abandon();
    this.#happen("restored");
  }

  #happen(event: QueuedEvent): void {
    if (this.#ended) return;
    const { state, action } = nextQueuedStep(this.#state, event);
    this.#state = state;
    switch (action) {
      case "add":
        this.#deps.straightLanes.waiting(this.#lane);
        return this.#enqueue();
      case "open":
        return this.#goStraight(this.#takeovers > 0);
      case "reopen":
        return this.#goStraight(true);
      case "ask":
        return this.#ask();
      case "attach":
        return this.#attach();
      case "add_again":
        return this.#add();
      case "none":
    }
  }

  #add(): void {
    const { head, bytes } = this.#call;
    const job: CallJob = {
      version: 1,
      head,
      replyTo: this.#deps.replies.channel,
      enqueuedAt: Date.now(),
      ...(this.#takeovers > 0 ? { reopened: true } : undefined),
    };
    const { bodies, producer } = this.#deps;
    const added =
      bytes.length <= inlineBytes && !bodies.isSealed
        ? producer.add(this.#lane, { ...job, body: bytes.toString("utf8") })
        : this.#addByKey(job, producer);
    added.then(
      () => {
        this.#mayBeQueued = true;
        this.#happen("added");
      },
      (reason: unknown) => this.#notAdded(reason),
    );
  }

  async #addByKey(job: CallJob, producer: JobProducer): Promise<void> {
    const { head, bytes } = this.#call;
    const ttlMs = head.deadlineAt - Date.now() + bodyMarginMs;
    const stored = this.#deps.bodies.put(head.id, bytes, ttlMs).catch((reason: unknown) => {
      throw new AddError("not_sent", "the body could not be stored", { cause: reason });
    });
    this.#bodyKey = await stored;
    // A caller that left meanwhile needs no job.
    if (!this.#ended) await producer.add(this.#lane, { ...job, bodyKey: this.#bodyKey });
  }

  #notAdded(reason: unknown): void {
    const isUnsent = reason instanceof AddError && reason.fate === "not_sent";
    if (!isUnsent) this.#mayBeQueued = true;
    this.#happen(isUnsent ? "not_added" : "add_unknown");
  }

  #goStraight(reopened: boolean): void {
    const { head, bytes } = this.#call;
    metrics.openedStraightTotal.inc({ operation: head.operation });
    const delivery = reopened ? this.#nextDelivery() : 1;
    const options = { delivery, reopened, signal: this.#workersSignal() };
    invokeStraight({ head, bytes }, options, this.#deps.pool).then(
      (outcome) => this.#finish({ ...outcome, notes: [...outcome.notes, "redis_away"] }),
      (reason: unknown) => this.#fail(toGatewayError(reason)),
    );
  }

  #attach(): void {
    const { id } = this.#call.head;
    this.#deps.pool.attach(id, { delivery: this.#nextDelivery(), signal: this.#workersSignal() }).then(
      (outcome) => (outcome ? this.#finish(outcome) : this.#happen("not_held")),
      () => this.#happen("not_held"),
    );
  }

  #ask(triesLeft = askTries): void {
    const failed = (): void => {
      // The connection for commands may come back a moment after the one for replies.
      if (triesLeft <= 1) this.#happen("ask_failed");
      else if (this.#state === "asking" && !this.#ended) setTimeout(() => this.#ask(triesLeft - 1), askAgainMs);
    };
    this.#deps.results.fate(this.#lane, this.#call.head.id).then((fate) => this.#learn(fate), failed);
  }

  #learn(fate: Fate): void {
    if (this.#ended || this.#state !== "asking") return;
    if (fate.state === "queued") this.#happen("job_there");
    else if (fate.state === "unknown") this.#happen("nothing_there");
    else if (fate.outcome) this.#finish(fate.outcome);
    else this.#fail(new GatewayError("internal", "The answer to this call was lost."));
  }

  async #timeUp(): Promise<void> {
    this.#isTimeUp = true;
    const ran = this.#mayBeQueued && this.#state !== "straight" ? await this.#abandon() : "may_have_run";
    const options = ran === "may_have_run" ? { shouldRetry: false } : {};
    this.#fail(new GatewayError("timed_out", "The time for this call is up.", options));
  }

  #leave(): void {
    const facts = { ...noFacts, code: "cancelled" } as const;
    if (!this.#close()) return;
    if (this.#mayBeQueued) void this.#abandon();
    this.#call.end({ status: 499, requestId: this.#call.head.id, facts });
  }

  #fail(error: GatewayError): void {
    this.#finish(errorOutcome(error, this.#call.head.id));
  }

  #finish(last: Outcome): void {
    const outcome = behind(this.#tried, last);
    const wasStraight = this.#state === "straight";
    if (!this.#close()) return;
    // A copy of the job that comes to life later must find that nobody waits for it.
    if (wasStraight && this.#mayBeQueued) void this.#abandon();
    const answer = answerFromOutcome(outcome);
    this.#reply.answer(answer);
    this.#call.end({
      status: outcome.status,
      requestId: outcome.headers["request-id"] ?? this.#call.head.id,
      facts: outcome,
    });
  }

  /** False when the call had ended before. */
  #close(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#forget?.();
    this.#workers?.abort(new GatewayError("cancelled", "The call has ended."));
    this.#deps.clock.delete(this);
    this.#deps.onEnd(this);
    return true;
  }

  async #abandon(): Promise<"never_ran" | "may_have_run"> {
    const { id, deadlineAt } = this.#call.head;
    const result = await this.#deps.abandoned.abandon({ callId: id, lane: this.#lane, until: deadlineAt });
    if (result === "never_ran" && this.#bodyKey !== undefined) this.#deps.bodies.drop(this.#bodyKey);
    return result;
  }

  #nextDelivery(): number {
    this.#takeovers += 1;
    return takeoverDelivery + this.#takeovers;
  }

  #workersSignal(): AbortSignal {
    this.#workers ??= new AbortController();
    return this.#workers.signal;
  }
}
