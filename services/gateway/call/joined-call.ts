import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import { lanes, type Lane } from "#shared/queue/job.ts";
import type { JoinableCall, JoinResult } from "#shared/store/call-registry.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { answerFromOutcome } from "../answer-headers.ts";
import { WholeReply } from "../whole-reply.ts";
import type { AbandonedJob } from "./abandoned-jobs.ts";
import { noFacts, type OpenCall } from "./open-call.ts";
import type { QueuedCallDeps, WaitingCall } from "./queued-deps.ts";

export interface JoinOptions {
  readonly target: JoinableCall;
  /** The call goes on whoever leaves: it is a job. */
  readonly isKept: boolean;
  /** Whether an outcome that was there before us is an answer to this call. */
  mayReplay(outcome: Outcome): boolean;
  /** There is nothing to join: the call has to be made. */
  otherwise(): void;
}

const deadlineGraceMs = 500;
/** How often to see whether somebody is still at the call; its dispatcher is looked after by the queue. */
const checkEveryMs = 2000;
const rejoinMs = 100;
const checkTakenMs = 30_000;
/** Above the deliveries of the queue and of the gateway that began the call. */
const takeoverDelivery = 2000;

type How = "joined" | "replayed";

/**
 * A call that is answered with the outcome of another one, the same, made before.
 * States: joining (Redis is asked) → waiting (the outcome will come over the reply bus) → ended.
 */
export class JoinedCall implements WaitingCall {
  readonly #call: OpenCall;
  readonly #options: JoinOptions;
  readonly #deps: QueuedCallDeps;
  readonly #reply: WholeReply;
  readonly #forget: () => void;
  readonly #workers = new AbortController();
  #state: "joining" | "waiting" | "ended" = "joining";
  #hasJoined = false;
  #checkAt = 0;
  #again: NodeJS.Timeout | undefined;
  #leaveClock: (() => void) | undefined;
  #onEnd: (() => void) | undefined;

  constructor(call: OpenCall, options: JoinOptions, deps: QueuedCallDeps) {
    this.#call = call;
    this.#options = options;
    this.#deps = deps;
    this.#reply = new WholeReply(call.response, {
      callId: call.head.id,
      acceptedAt: call.head.acceptedAt,
      heartbeatAfterMs: deps.server.heartbeatAfterMs,
      onLeft: () => this.#leave(),
    });
    this.#forget = deps.replies.expect(options.target.id, (outcome) => this.#finish(outcome, "joined"));
  }

  start(onEnd: () => void): void {
    this.#onEnd = onEnd;
    this.#leaveClock = this.#deps.clock.add(this);
    this.#join();
  }

  tick(now: number): void {
    this.#reply.tick(now);
    if (now > this.#call.head.deadlineAt + deadlineGraceMs) this.#timeUp();
    else if (this.#state === "waiting" && now >= this.#checkAt) void this.#check(now);
  }

  /** The reply channel is whole again: the outcome may have gone by, and Redis may have lost our place. */
  restored(): void {
    if (this.#state === "waiting") this.#join();
  }

  /** The connection for commands may come back a moment after the one for replies. */
  #joinSoon(): void {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#join(), rejoinMs);
  }

  /** The gateway that began a call says that it has no outcome, and will have none. */
  gone(callId: string): void {
    if (callId === this.#options.target.id) this.#giveWay();
  }

  wanted(): boolean {
    return false;
  }

  #join(): void {
    if (this.#state === "ended") return;
    this.#state = "joining";
    const { channel } = this.#deps.replies;
    const { id, deadlineAt } = this.#call.head;
    this.#deps.calls.join(this.#options.target, { channel, id, deadlineAt }).then(
      (result) => this.#learn(result),
      // Redis is away: as a call of its own it gets along without, unless it is part of another one already.
      () => (this.#hasJoined ? this.#joinSoon() : this.#giveWay()),
    );
  }

  #learn(result: JoinResult): void {
    if (this.#state !== "joining") return;
    if (result.state === "waiting") {
      this.#state = "waiting";
      this.#hasJoined = true;
      void this.#check(Date.now());
    } else if (result.state === "answered" && result.outcome && this.#options.mayReplay(result.outcome))
      this.#finish(result.outcome, "replayed");
    else this.#giveWay();
  }

  /** Whether the outcome can still come: it lies in a lane, or its gateway lives, or a worker has it. */
  async #check(now: number): Promise<void> {
    this.#checkAt = now + checkEveryMs;
    const { target } = this.#options;
    const { results, calls, replies } = this.#deps;
    try {
      const fate = await results.fate(target.lane, target.id);
      if (fate.state === "queued") return;
      if (fate.state === "answered") return fate.outcome ? this.#finish(fate.outcome, "joined") : this.#giveWay();
      if (await calls.want(target, replies.channel)) return;
    } catch {
      // Redis is away: asked again when it is back.
      return;
    }
    await this.#takeOver();
  }

  /** The gateway that had the call is gone; a worker keeps what it had of it for a while. */
  async #takeOver(): Promise<void> {
    const { target } = this.#options;
    const { results, pool } = this.#deps;
    this.#checkAt = Infinity;
    try {
      const outcome = await pool.attach(target.id, { delivery: nextDelivery(), signal: this.#workers.signal });
      if (!outcome) return this.#giveWay();
      results.settle(target.id, outcome, "").catch(() => undefined);
      this.#finish(outcome, "joined");
    } catch {
      // Another one who joined has taken the call over, and will settle it.
      this.#checkAt = Date.now() + checkTakenMs;
    }
  }

  #timeUp(): void {
    if (this.#state === "ended") return;
    const error = new GatewayError("timed_out", "The time for this call is up.", { shouldRetry: false });
    this.#close();
    if (!this.#options.isKept) void this.#deps.abandoned.abandon(this.#job());
    this.#answer(errorOutcome(error, this.#call.head.id));
  }

  #leave(): void {
    if (this.#state === "ended") return;
    this.#close();
    if (!this.#options.isKept) void this.#deps.abandoned.abandonLater(this.#job());
    this.#call.end({ status: 499, requestId: this.#call.head.id, facts: { ...noFacts, code: "cancelled" } });
  }

  /** Not to be joined: the call is made after all, unless its caller was told already that there is an answer. */
  #giveWay(): void {
    if (this.#state === "ended") return;
    this.#close();
    if (this.#reply.release()) this.#options.otherwise();
    else
      this.#answer(errorOutcome(new GatewayError("internal", "The answer to this call was lost."), this.#call.head.id));
  }

  #finish(outcome: Outcome, how: How): void {
    if (this.#state === "ended") return;
    this.#close();
    metrics.joinedTotal.inc({ operation: this.#call.head.operation, how });
    this.#answer(outcome, how);
  }

  #answer(outcome: Outcome, how?: How): void {
    const answer = answerFromOutcome(outcome);
    if (how) {
      answer.headers["x-sluice-joined"] = `${how} ${this.#options.target.id}`;
      // It is paid for by the call that was joined.
      if (outcome.usage) answer.headers["x-sluice-cost-usd"] = "0";
    }
    this.#reply.answer(answer);
    // Its tokens were counted where they were spent.
    const { usage: _, ...facts } = outcome;
    const notes = how ? [...facts.notes, `${how}: ${this.#options.target.id}`] : facts.notes;
    const requestId = outcome.headers["request-id"] ?? this.#call.head.id;
    this.#call.end({ status: outcome.status, requestId, facts: { ...facts, notes }, isFree: true });
  }

  #close(): void {
    this.#state = "ended";
    clearTimeout(this.#again);
    this.#forget();
    this.#workers.abort(new GatewayError("cancelled", "The call has ended."));
    this.#leaveClock?.();
    this.#onEnd?.();
  }

  #job(): AbandonedJob {
    const { target } = this.#options;
    const caller = { channel: this.#deps.replies.channel, id: this.#call.head.id };
    return { callId: target.id, lane: laneOf(target), until: this.#call.head.deadlineAt, caller };
  }
}

/** Whoever comes later has the call: a worker tells an earlier delivery that there is nothing to be had. */
function nextDelivery(): number {
  return takeoverDelivery + (Math.floor(Date.now() / 100) % 1_000_000_000);
}

function laneOf({ lane }: JoinableCall): Lane {
  return lanes.find((known) => known === lane) ?? "interactive";
}
