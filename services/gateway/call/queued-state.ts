/**
 * What a queued call does when something happens to it while Redis comes and goes. Pure: the doing is `queued-call.ts`.
 *
 * trying       with a worker, without the queue, because nothing waits there
 * adding       the job is being written
 * adding_deaf  the same, and replies were lost meanwhile
 * waiting      the job lies in the queue or runs; its outcome will come over the reply bus
 * asking       Redis is back after an interruption in which the outcome may have gone by unheard
 * attaching    Redis knows nothing of the call: is a worker still at it?
 * straight     the call went to a worker without the queue, and this gateway owns it
 */
export type QueuedState = "trying" | "adding" | "adding_deaf" | "waiting" | "asking" | "attaching" | "straight";

export type QueuedEvent =
  /** No provider was asked: there is something to wait for. */
  | "blocked"
  /** The job is in Redis. */
  | "added"
  /** The job never entered a socket. */
  | "not_added"
  /** Nothing is known of the job: its write timed out. */
  | "add_unknown"
  /** Redis has been away for longer than a call can wait for it. */
  | "interrupted"
  /** Redis is back and the reply channel is confirmed; replies in between are lost. */
  | "restored"
  /** Redis said: the job is there. */
  | "job_there"
  /** Redis said: neither outcome nor job. */
  | "nothing_there"
  /** Redis could not be asked. */
  | "ask_failed"
  /** No worker holds the call. */
  | "not_held";

export type QueuedAction =
  | "none"
  /** Write the job. */
  | "add"
  /** Give the call to a worker: nobody can have it. */
  | "open"
  /** Ask every worker for the call, and give it to one if none holds it. */
  | "reopen"
  /** Ask Redis what became of the call. */
  | "ask"
  /** Ask every worker for the call, and wait for the one that holds it. */
  | "attach"
  /** Write the job again, marked as one that may have run. */
  | "add_again";

export interface QueuedStep {
  readonly state: QueuedState;
  readonly action: QueuedAction;
}

type Row = Partial<Record<QueuedEvent, QueuedStep>>;

const goStraight: QueuedStep = { state: "straight", action: "reopen" };
const ask: QueuedStep = { state: "asking", action: "ask" };

// An interruption means nothing while a job is being written: the write ends within its own time-out.
const table: Readonly<Record<QueuedState, Row>> = {
  trying: { blocked: { state: "adding", action: "add" } },
  adding: {
    added: { state: "waiting", action: "none" },
    not_added: { state: "straight", action: "open" },
    add_unknown: goStraight,
    restored: { state: "adding_deaf", action: "none" },
  },
  adding_deaf: {
    added: ask,
    not_added: { state: "straight", action: "open" },
    add_unknown: goStraight,
  },
  waiting: { interrupted: goStraight, restored: ask },
  asking: {
    job_there: { state: "waiting", action: "none" },
    nothing_there: { state: "attaching", action: "attach" },
    ask_failed: goStraight,
    interrupted: goStraight,
    restored: ask,
  },
  attaching: { not_held: { state: "adding", action: "add_again" } },
  straight: {},
};

/** The next state and what to do; an event that means nothing in a state changes nothing. */
export function nextQueuedStep(state: QueuedState, event: QueuedEvent): QueuedStep {
  return table[state][event] ?? { state, action: "none" };
}
