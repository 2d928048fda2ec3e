import type { CallHead, SentNote } from "#shared/messages/call.ts";
import type { Attempt, Wait } from "#shared/messages/outcome.ts";
import { addNote } from "#shared/messages/notes.ts";
import type { PlannedTarget } from "#shared/routing/plan.ts";
import type { Use } from "../adapt/wire-features.ts";
import type { Exchange } from "../upstream/exchange.ts";
import type { AttemptEnd } from "./attempt-end.ts";

/** One call in this worker's hands, from its plan to its end. */
export interface CallRun {
  readonly head: CallHead;
  readonly body: Buffer;
  readonly targets: readonly PlannedTarget[];
  readonly signal: AbortSignal;
  /** Tells the call's opener that a provider is being asked. */
  readonly tellSent: (note: SentNote) => void;
  /** When the call's time is up (milliseconds since the epoch); moves when somebody joins it. */
  deadlineAt: number;
  readonly attempts: Attempt[];
  readonly waits: Wait[];
  readonly notes: string[];
  /** How each target's latest attempt ended. */
  readonly ends: Map<PlannedTarget, AttemptEnd>;
  /** Beta flags that a target was not sent. */
  droppedBetas: Map<PlannedTarget, readonly string[]> | undefined;
  /** Whether its body may hold another family's reasoning; undefined until that was looked for. */
  mayHoldForeign: boolean | undefined;
  /** What of its body not every wire has; undefined until that was looked for. */
  uses: readonly Use[] | undefined;
  /** Targets this call asks no more. */
  readonly struck: Set<PlannedTarget>;
  /** Whether a sent but unanswered attempt has been repeated. */
  rerunUsed: boolean;
  /** Whether a provider may be working on this call unanswered; then it must not be opened again from the start. */
  isUnanswered: boolean;
  /** The exchange in hand, for cancelling. */
  exchange: Exchange | undefined;
}

/** A remark for the trace; said once. */
export function noteOnce(run: CallRun, note: string): void {
  addNote(run.notes, note);
}

/** A new run; `sentBefore` is what a lost worker had asked already. */
export function createCallRun(
  call: Pick<CallRun, "head" | "body" | "targets" | "signal" | "tellSent" | "notes">,
  sentBefore: SentNote | undefined,
): CallRun {
  return {
    ...call,
    deadlineAt: call.head.deadlineAt,
    attempts: sentBefore ? [lostAttempt(sentBefore)] : [],
    waits: [],
    ends: new Map(),
    droppedBetas: undefined,
    mayHoldForeign: undefined,
    uses: undefined,
    struck: new Set(),
    rerunUsed: sentBefore !== undefined || call.head.rerunUsed === true,
    isUnanswered: sentBefore !== undefined,
    exchange: undefined,
  };
}

function lostAttempt(note: SentNote): Attempt {
  return {
    provider: note.provider,
    model: note.model,
    startedAt: note.at,
    endedAt: Date.now(),
    reason: "worker_lost",
  };
}
