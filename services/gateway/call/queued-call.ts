import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import { AddError } from "#shared/queue/job-producer.ts";
import type { Lane } from "#shared/queue/job.ts";
import type { Fate } from "#shared/store/result-store.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { answerFromOutcome } from "../answer-headers.ts";
import { WholeReply } from "../whole-reply.ts";
import { behind, mayWaitUntil, type Trail } from "./capacity.ts";
import { addJob, jobOf } from "./add-job.ts";
import { createDeparture, type Departure } from "./departure.ts";
import { invokeStraight } from "./invoke-straight.ts";
import { acknowledgeOutcome, isJoinable, keepOwnOutcome } from "./keep-outcome.ts";
import type { OpenCall } from "./open-call.ts";
import { isLasting } from "./replayable.ts";
import type { QueuedCallDeps, WaitingCall } from "./queued-deps.ts";
import { registerCall } from "./register-call.ts";
import { nextQueuedStep, type QueuedEvent, type QueuedState } from "./queued-state.ts";

/** How long a call waits for Redis before it goes its own way. */
const awayMs = 2000;
/** Who runs the call knows more of its end than we do, so it speaks first. */
const deadlineGraceMs = 500;
const askAgainMs = 100;
const askTries = 20;
/** Above every delivery a queue makes: a call that this gateway takes over is its own from then on. */
const takeoverDelivery = 1000;

/** A whole answer or a count on its way through the queue; its states are those of `queued-state.ts`, then ended. */
export class QueuedCall implements WaitingCall {
  readonly #call: OpenCall;
  readonly #deps: QueuedCallDeps;
  readonly #reply: WholeReply;
  readonly #lane: Lane;
  #state: QueuedState = "adding";
  #ended = false;
  /** The caller is gone; the call goes on for whoever joins it, or has joined it. */
  #isLeft = false;
  #isTimeUp = false;
  #isWanted = false;
  /** True when a copy of the job may lie in Redis. */
  #mayBeQueued = false;
  #takeovers = 0;
  #bodyKey: string | undefined;
  #forget: (() => void) | undefined;
  #leaveClock: (() => void) | undefined;
  #onEnd: (() => void) | undefined;
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

  start(onEnd: () => void): void {
    this.#onEnd = onEnd;
    const [lane, mayTry] = [this.#lane, this.#deps.straightLanes.mayTry(this.#lane)];
    this.#leaveClock = this.#deps.clock.add(this);
    if (mayTry) this.#state = "trying";
    // In the same write as the job. One that is tried waits for it: this process may die as soon as a worker has the call.
    registerCall(this.#call, mayTry ? { lane, written: () => this.#try() } : { lane }, this.#deps);
    if (!mayTry) this.#enqueue();
  }

  #enqueue(): void {
    // Listen first: a fast job may be answered before its add has returned.
    this.#forget = this.#deps.replies.expect(this.#call.head.id, (outcome) => {
      acknowledgeOutcome(this.#call, outcome, this.#deps);
      this.#finish(outcome);
    });
    this.#add();
  }

  #try(): void {
    const { head, bytes } = this.#call;
    const { pool, straightLanes } = this.#deps;
    if (this.#ended) return straightLanes.ended(this.#lane);
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
    if (now > this.#call.head.deadlineAt + deadlineGraceMs && !this.#isLeft) {
      if (!this.#isTimeUp) void this.#timeUp();
      return;
    }
    const since = this.#deps.replies.interruptedSince;
    if (since === undefined || now - since <= awayMs) return;
    if (!this.#isLeft) this.#happen("interrupted");
    else if (this.#close()) this.#call.endCancelled(false);
  }

  restored(): void {
    if (this.#state === "straight" && this.#mayBeQueued) void this.#departure.abandon();
    this.#happen("restored");
  }

  wanted(callId: string): boolean {
    if (callId !== this.#call.head.id) return false;
    this.#isWanted = true;
    return true;
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
    const { bytes } = this.#call;
    const job = jobOf(this.#call, { replyTo: this.#deps.replies.channel, reopened: this.#takeovers > 0 });
    const isGone = (): boolean => this.#ended;
    const onBodyKey = (key: string): void => void (this.#bodyKey = key);
    addJob({ lane: this.#lane, job, bytes, isGone, onBodyKey }, this.#deps).then(
      () => {
        this.#mayBeQueued = true;
        this.#happen("added");
      },
      (reason: unknown) => this.#notAdded(reason),
    );
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
    const isShared = isJoinable(this.#call) || (this.#mayBeQueued && this.#state !== "straight");
    const ran = isShared ? await this.#departure.abandon() : "may_have_run";
    // Of a job that Redis lost, and that was written again, the queue does not know whether it had been taken.
    const options = ran === "never_ran" && this.#takeovers === 0 ? {} : { shouldRetry: false };
    const error = new GatewayError("timed_out", "The time for this call is up.", options);
    if (ran !== "joined" || this.#ended) return this.#fail(error);
    this.#answer(errorOutcome(error, this.#call.head.id), true);
    await this.#goOn("joined");
  }

  #leave(): void {
    if (this.#ended || this.#isLeft) return;
    const goesOn = isJoinable(this.#call);
    if (!goesOn && this.#mayBeQueued) void this.#departure.abandon();
    if (!goesOn) this.#close();
    this.#call.endCancelled(goesOn);
    if (goesOn) void this.#goOn("left");
  }

  /** Without its caller the call goes on while others wait for it, and a little longer. */
  async #goOn(why: "left" | "joined"): Promise<void> {
    this.#isLeft = true;
    await this.#departure.abandonAtLast(why === "left" ? "later" : "now", () => this.#ended);
    if (this.#close()) this.#call.endCancelled(false);
  }

  #fail(error: GatewayError): void {
    this.#finish(errorOutcome(error, this.#call.head.id));
  }

  #finish(last: Outcome): void {
    const outcome = behind(this.#tried, last);
    const isOurs = this.#state === "straight" || this.#state === "trying";
    if (!this.#close()) return;
    // A copy that comes to life later must find that nobody waits for it.
    if (isOurs && this.#mayBeQueued) void this.#departure.abandon();
    if (isOurs) keepOwnOutcome(this.#call, { outcome, isWanted: this.#isWanted || this.#isLeft }, this.#deps);
    const release = isLasting(outcome) ? undefined : this.#call.claim?.release();
    if (release) void release.then(() => this.#answer(outcome));
    else this.#answer(outcome);
  }

  #answer(outcome: Outcome, goesOn = false): void {
    const bill = this.#call.billOf(outcome);
    this.#reply.answer(answerFromOutcome(outcome, bill));
    const requestId = outcome.headers["request-id"] ?? this.#call.head.id;
    this.#call.end({ status: outcome.status, requestId, facts: outcome, bill, goesOn });
  }

  /** False when the call had ended before. */
  #close(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#forget?.();
    this.#workers?.abort(new GatewayError("cancelled", "The call has ended."));
    this.#leaveClock?.();
    this.#onEnd?.();
    return true;
  }

  get #departure(): Departure {
    return createDeparture(this.#call, { lane: this.#lane, bodyKey: this.#bodyKey }, this.#deps);
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
