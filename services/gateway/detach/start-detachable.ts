import { noFacts, type OpenCall } from "../call/open-call.ts";
import { StreamedCall, type StreamedCallDeps } from "../call/streamed-call.ts";
import { RecordedReply } from "./recorded-reply.ts";
import type { Recording } from "./recording.ts";

/** Starts a stream that goes on without its caller; or one as any other, which says so, where it cannot be recorded. */
export async function startDetachable(call: OpenCall, deps: StreamedCallDeps): Promise<void> {
  const { id: callId, keyId } = call.head;
  const recording = await deps.recordings.begin({ keyId, callId }, deps.turns);
  if (recording) startRecorded(call, deps, recording);
  // Left while it was tried: nobody would notice any more.
  else if (call.response.destroyed)
    call.end({ status: 499, requestId: callId, facts: { ...noFacts, code: "cancelled" } });
  else {
    call.response.setHeader("x-sluice-detach", "unavailable");
    new StreamedCall(call, deps).start();
  }
}

function startRecorded(call: OpenCall, deps: StreamedCallDeps, recording: Recording): void {
  const streamed: StreamedCall = new StreamedCall(call, deps, ({ response }, options) => {
    const { clock } = deps;
    return new RecordedReply(response, { ...options, recording, clock, onCancelled: () => streamed.cancel() });
  });
  streamed.start();
}
