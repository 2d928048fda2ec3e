import type { TargetCause } from "#shared/store/target-cause.ts";
import { readErrorEnvelope } from "../adapters/error-envelope.ts";
import type { AttemptEnd } from "./attempt-end.ts";

/** Upstream's types are words; anything else may be anything. */
const word = /^[A-Za-z]\w{0,63}$/;

/** What is told of a failed attempt wherever its target is kept from being asked: no message, no body, no secret. */
export function causeOf(end: AttemptEnd): TargetCause {
  const { reason, status } = end;
  const error = errorTypeOf(end) ?? ownPhrase(end);
  return { reason, ...(status === undefined ? {} : { status }), ...(error === undefined ? {} : { error }) };
}

/** The type in the error's envelope, or in the one that its adapter made of it. */
function errorTypeOf({ failure, response }: AttemptEnd): string | undefined {
  const envelope = failure?.answer ?? (failure?.envelope ? response?.body : undefined);
  const type = envelope && readErrorEnvelope(envelope)?.type;
  return type !== undefined && word.test(type) ? type : undefined;
}

/** An error event's detail begins with upstream's type; all others are ours. */
function ownPhrase({ reason, detail }: AttemptEnd): string | undefined {
  if (reason !== "stream_error") return detail;
  const type = detail?.split(":", 1)[0];
  return type !== undefined && word.test(type) ? type : undefined;
}
