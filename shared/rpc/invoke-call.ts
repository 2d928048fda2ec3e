import type { SentNote, WorkerCall } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { AnswerFarewell } from "./await-farewell.ts";
import { abandoned } from "./change-signal.ts";
import type { CallResult, OpenRequest } from "./client-call.ts";
import { findHeldCall } from "./find-held-call.ts";
import { noWorker } from "./no-worker.ts";
import { supersededError } from "./superseded.ts";
import { lostAfterMs } from "./worker-link.ts";
import type { WorkerLinks } from "./worker-links.ts";

export interface InvokeOptions {
  /** The caller is gone: the worker is told, and the promise rejects with `cancelled`. */
  readonly signal: AbortSignal;
  /** The worker keeps the call for a while when the session is lost, and its outcome until it has arrived. */
  readonly keepOrphan: boolean;
  /** The call may run somewhere already: every worker is asked before it is opened. */
  readonly reopened?: boolean;
  /** Told at the moment a provider is asked, for each attempt. */
  readonly onSent?: (note: SentNote) => void;
  /**
   * Takes the duty of letting the worker forget the outcome, once it is recorded elsewhere; until then another client
   * can still get it with `attach`. Without it the worker forgets at once.
   */
  readonly hold?: (release: () => void) => void;
  /**
   * When the signal aborts while a worker has the call: told before the promise rejects what the worker knows of it, or
   * undefined when it does not say so within half a second. Not of a call that was found with `attach`.
   */
  readonly farewell?: AnswerFarewell;
}

/** A call that takes one worker after another with it is not given to a fifth. */
const mostMoves = 4;

const notHeld: CallResult = { kind: "unknown" };

/**
 * Gives a whole answer or a count to a worker and sees it through the loss of workers:
 * lost before a provider was asked, the call goes to another worker; lost after that, it is opened once more in all.
 * With `keepOrphan` every worker is asked first whether it still holds the call.
 *
 * Rejects with GatewayError: `overloaded` without a worker or after the last chance; `cancelled` when the signal
 * aborts, a later delivery took the call over (see isSuperseded), or the pool was closed: nothing is to be settled then.
 */
export async function invokeCall(call: WorkerCall, options: InvokeOptions, links: WorkerLinks): Promise<Outcome> {
  const { signal } = options;
  let current = call;
  let lostSent: SentNote | undefined;
  let reopened = call.sentBefore !== undefined;
  let ask = options.reopened === true;
  for (let losses = 0; losses <= mostMoves;) {
    const found = ask ? await findHeldCall(attachRequest(current), signal, links) : notHeld;
    let result = found;
    if (found.kind === "unknown") {
      if (lostSent && reopened) break;
      reopened ||= lostSent !== undefined;
      lostSent = undefined;
      result = await openOnce(current, options, links);
    }
    if (result.kind === "refused") {
      ask = false;
    } else if (result.kind === "lost") {
      // A session that breaks while somebody waits for a held call costs nothing.
      if (found.kind === "unknown") losses++;
      ask = options.keepOrphan;
      lostSent = result.sent ?? lostSent;
      current = nextDelivery(current, result.sent);
    } else {
      return settledOutcome(result, options.hold);
    }
  }
  throw new GatewayError("overloaded", "The worker was lost while it ran this call.", { shouldRetry: false });
}

function attachRequest({ head, delivery }: WorkerCall): { callId: string; delivery: number } {
  return { callId: head.id, delivery };
}

function nextDelivery(call: WorkerCall, sent: SentNote | undefined): WorkerCall {
  return { ...call, delivery: call.delivery + 1, ...(sent ? { sentBefore: sent } : {}) };
}

/** The outcome that a call ended with; throws what else it ended with. */
function settledOutcome(result: CallResult, hold?: InvokeOptions["hold"]): Outcome {
  if (result.kind === "outcome") {
    const { outcome, release } = result;
    if (release && hold) hold(release);
    else release?.();
    return outcome;
  }
  if (result.kind === "superseded") throw supersededError();
  const detail = result.kind === "failed" ? result.message : `unexpected end: ${result.kind}`;
  throw new GatewayError("internal", "Internal gateway error.", { cause: new Error(`worker: ${detail}`) });
}

/** One worker, one try. */
async function openOnce(call: WorkerCall, options: InvokeOptions, links: WorkerLinks): Promise<CallResult> {
  const { signal, keepOrphan, onSent, farewell } = options;
  const request: OpenRequest = { call, keepOrphan };
  if (signal.aborted) throw abandoned(signal);
  const until = Math.min(Date.now() + lostAfterMs, request.call.head.deadlineAt);
  const link = links.pick() ?? (await links.wait(() => links.pick(), { signal, until }));
  if (links.closed) throw new GatewayError("cancelled", "The connections to the workers were closed.");
  if (!link) throw noWorker();
  if (!link.session) return { kind: "refused" };
  return new Promise((resolve, reject) => {
    const over = (result: CallResult): void => {
      signal.removeEventListener("abort", onAbort);
      if (result.kind === "refused") link.markLeaving();
      resolve(result);
    };
    const opened = link.open(request, onSent ? { over, sent: onSent } : { over });
    const onAbort = (): void => {
      if (farewell) {
        opened.leave((last) => {
          farewell(last);
          reject(abandoned(signal));
        });
      } else {
        opened.cancel();
        reject(abandoned(signal));
      }
    };
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
