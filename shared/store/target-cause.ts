import { attemptReasons, type AttemptReason } from "#shared/messages/outcome.ts";

/** Why a target is not to be asked: the end of the attempt that brought it about. */
export interface TargetCause {
  readonly reason: AttemptReason;
  /** The HTTP status of its answer; absent where there was none. */
  readonly status?: number;
  /** The provider's type of error, or a short phrase of ours. Never a message, and on one line. */
  readonly error?: string;
}

const longestError = 64;
const pattern = /^(\w+) (\d{3}|-)(?: (.+))?$/;

/** One line, of which processes that know of no causes see nothing. */
export function encodeCause({ reason, status, error }: TargetCause): string {
  const word = error === undefined ? "" : ` ${error.replaceAll(/\s+/g, " ").slice(0, longestError)}`;
  return `${reason} ${status ?? "-"}${word}`;
}

/** Undefined for an absent line, and for what another version wrote. */
export function decodeCause(line: string | undefined): TargetCause | undefined {
  const [, reason, status, error] = pattern.exec(line ?? "") ?? [];
  if (!isReason(reason)) return undefined;
  return {
    reason,
    ...(status === undefined || status === "-" ? {} : { status: Number(status) }),
    ...(error === undefined ? {} : { error }),
  };
}

/** `credential_refused, 401 authentication_error`: for notes, in which reasons are those of attempts. */
export function describeCause({ reason, status, error }: TargetCause): string {
  const rest = [status, error].filter((part) => part !== undefined).join(" ");
  return rest === "" ? reason : `${reason}, ${rest}`;
}

function isReason(text: string | undefined): text is AttemptReason {
  return (attemptReasons as readonly (string | undefined)[]).includes(text);
}
