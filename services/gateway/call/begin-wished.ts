import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { JoinableCall } from "#shared/store/call-registry.ts";
import type { ClaimedWork, Claiming } from "#shared/store/claim-store.ts";
import { answerWithJob } from "../jobs/answer-job.ts";
import { submitJob } from "../jobs/submit-job.ts";
import { askPrint } from "./ask-print.ts";
import { JoinedStream } from "./joined-stream.ts";
import { noFacts, type OpenCall } from "./open-call.ts";
import type { CallWishes } from "./call-wishes.ts";
import type { Preference } from "./preference.ts";
import type { QueuedCalls } from "./queued-calls.ts";
import { refuseCall } from "./refuse-call.ts";
import { isFreshSuccess, isLasting } from "./replayable.ts";
import { StreamedCall, type StreamedCallDeps } from "./streamed-call.ts";
import { TapedReply } from "./taped-reply.ts";

export interface BeginDeps extends StreamedCallDeps {
  readonly queued: QueuedCalls;
}

interface Begin {
  readonly call: OpenCall;
  readonly wishes: CallWishes;
  readonly deps: BeginDeps;
}

/** Begins a call that may be a job, or may have been made before. Never rejects: what is wrong is answered. */
export async function beginWished(call: OpenCall, wishes: CallWishes, deps: BeginDeps): Promise<void> {
  const begin = { call, wishes, deps };
  try {
    if (wishes.preference && call.head.stream)
      throw new GatewayError("invalid_request", "prefer: a stream cannot be answered later; leave out `stream`.", {
        where: "prefer",
      });
    if (wishes.idempotencyKey !== undefined) await beginClaimed(begin, wishes.idempotencyKey);
    else if (wishes.preference) await makeJob(begin, wishes.preference);
    else if (call.head.stream) new StreamedCall(call, deps).start();
    else await joinOrMake(begin);
  } catch (reason) {
    await refuseCall(call, toGatewayError(reason));
  }
}

/** An SDK's retry: its first try may still run, or have been answered to nobody. */
async function joinOrMake({ call, deps }: Begin): Promise<void> {
  const { head, bytes } = call;
  const isMessage = head.operation === "messages";
  const target = isMessage ? await deps.calls.find(askPrint(head, bytes)).catch(() => undefined) : undefined;
  if (isGone(call)) return;
  if (!target) return deps.queued.start(call);
  deps.queued.join(call, {
    target,
    isKept: false,
    mayReplay: (outcome) => isFreshSuccess(outcome, Date.now()),
    otherwise: () => deps.queued.start(call),
  });
}

async function beginClaimed(begin: Begin, idempotencyKey: string): Promise<void> {
  const { call, deps } = begin;
  const work: ClaimedWork = { kind: kindOf(begin), print: askPrint(call.head, call.bytes), call: joinable(begin) };
  const claiming = await deps.claims.claim({ keyId: call.head.keyId, idempotencyKey }, work);
  await follow(begin, claiming);
}

async function follow(begin: Begin, claiming: Claiming): Promise<void> {
  const { call, wishes, deps } = begin;
  if (claiming.state === "ours") {
    call.claim = claiming.claim;
    return make(begin);
  }
  if (isGone(call)) return;
  const { work } = claiming;
  const otherwise = (): void => {
    claiming
      .retake()
      .then((next) => follow(begin, next))
      .catch((reason: unknown) => refuseCall(call, toGatewayError(reason)));
  };
  const target = work.call;
  if (work.kind === "stream") return new JoinedStream(call, { target, otherwise }, deps).start();
  if (work.kind === "job") {
    const job = await deps.jobs.get(call.head.keyId, target.id);
    if (!job) return otherwise();
    if (wishes.preference) return answerWithJob(call, { job, wishes, preference: wishes.preference }, deps);
  }
  return deps.queued.join(call, { target, isKept: work.kind === "job", mayReplay: isLasting, otherwise });
}

async function make(begin: Begin): Promise<void> {
  const { call, wishes, deps } = begin;
  const { claim } = call;
  if (isGone(call)) return void claim?.release();
  if (wishes.preference) return makeJob(begin, wishes.preference);
  if (!call.head.stream) return deps.queued.start(call);
  if (!claim) return new StreamedCall(call, deps).start();
  const { tapes, queue } = deps;
  return new StreamedCall(
    call,
    deps,
    ({ response }, options) => new TapedReply(response, { ...options, tapes, claim, lingerMs: queue.lingerMs }),
  ).start();
}

async function makeJob({ call, wishes, deps }: Begin, preference: Preference): Promise<void> {
  const job = await submitJob(call, deps);
  await answerWithJob(call, { job, wishes, preference }, deps);
}

function kindOf({ call, wishes }: Begin): ClaimedWork["kind"] {
  if (call.head.stream) return "stream";
  return wishes.preference ? "job" : "whole";
}

function joinable({ call, wishes, deps }: Begin): JoinableCall {
  const { id, operation, deadlineAt } = call.head;
  const { channel } = deps.replies;
  if (wishes.preference)
    return { id, lane: "background", deadlineAt: Date.now() + deps.jobTimes.expiresAfterMs, channel };
  return { id, lane: operation === "count_tokens" ? "count" : "interactive", deadlineAt, channel };
}

/** The caller left while Redis was asked; the call ends here. */
function isGone(call: OpenCall): boolean {
  if (!call.response.destroyed) return false;
  call.end({ status: 499, requestId: call.head.id, facts: { ...noFacts, code: "cancelled" }, isFree: true });
  return true;
}
