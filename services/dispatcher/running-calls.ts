import { createLatest } from "#shared/runtime/latest.ts";
import { PassingMap, PassingSet } from "#shared/runtime/passing.ts";
import { GatewayError } from "#shared/messages/error.ts";

/** The calls this dispatcher has in hand, so that one can be cancelled or found overdue by its id. */
export interface RunningCalls {
  /** Takes a call in hand. The signal aborts with `cancelled` or, some time after its deadline, `timed_out`. */
  open(callId: string, deadlineAt: number): RunningCall;
  /** Its caller is gone: false when it is not here. One that is taken in hand a moment later is aborted at once. */
  cancel(callId: string): boolean;
  /**
   * Aborts the calls whose deadline passed more than a moment ago; a worker that is well has ended them by then. Asks
   * for each whether somebody who joined it has given it more time.
   */
  endOverdue(now: number, laterDeadline: (callId: string) => Promise<number | undefined>): void;
  ids(): string[];
  readonly size: number;
}

interface RunningCall {
  readonly signal: AbortSignal;
  close(): void;
}

interface Entry extends RunningCall {
  readonly callId: string;
  deadlineAt: number;
  isAsked: boolean;
  readonly controller: AbortController;
}

/** A worker ends a call at its deadline; this is what its answer may take to get here. */
export const overdueMs = 1000;

/** A cancel may be heard before its job is in hand, by so much at the most: both come as they can. */
const aheadMs = 2000;
/** In as many milliseconds. A call that is forgotten runs for nobody, to its end. */
const mostAhead = 10_000;

export function createRunningCalls(): RunningCalls {
  const ahead = createLatest(aheadMs, mostAhead);
  // Not by id: a job can be here twice, when its lock was lost and it was delivered again.
  const entries = new PassingSet<Entry>();
  const byId = new PassingMap<string, Entry>();
  return {
    open: (callId, deadlineAt) => {
      const controller = new AbortController();
      const entry: Entry = {
        callId,
        deadlineAt,
        isAsked: false,
        controller,
        signal: controller.signal,
        close: () => {
          leave();
          if (byId.get(callId) === entry) byId.delete(callId);
        },
      };
      const leave = entries.add(entry);
      byId.set(callId, entry);
      if (ahead.has(callId)) controller.abort(callerGone());
      return entry;
    },
    cancel: (callId) => {
      const entry = byId.get(callId);
      if (entry) entry.controller.abort(callerGone());
      else ahead.add(callId);
      return entry !== undefined;
    },
    endOverdue: (now, laterDeadline) => {
      for (const entry of entries) {
        if (entry.deadlineAt + overdueMs >= now || entry.isAsked || entry.signal.aborted) continue;
        entry.isAsked = true;
        laterDeadline(entry.callId).then(
          (later) => extendOrEnd(entry, later),
          () => extendOrEnd(entry, undefined),
        );
      }
    },
    ids: () => [...byId.keys()],
    get size() {
      return entries.size;
    },
  };
}

function callerGone(): GatewayError {
  return new GatewayError("cancelled", "The caller is gone.");
}

function extendOrEnd(entry: Entry, later: number | undefined): void {
  entry.isAsked = false;
  if (later !== undefined && later > entry.deadlineAt) entry.deadlineAt = later;
  else entry.controller.abort(timeIsUp());
}

/** What a caller is told whose deadline passed. `wasSent`: a provider was asked, so a retry may be paid twice. */
export function timeIsUp(wasSent = true): GatewayError {
  return new GatewayError("timed_out", "The time for this call is up.", wasSent ? { shouldRetry: false } : {});
}
