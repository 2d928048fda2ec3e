/**
 * What a call asked the simulator to do besides answering: faults, pace and shape. Made from the markers in the prompt
 * and the suffix of the model by `scenarios.ts`; docs/simulator.md lists every word.
 */
export interface Scenario {
  /** Answer with this status instead of a message. */
  status?: number;
  errorType?: string;
  /** `error.details.error_code` of the error. */
  errorCode?: string;
  errorMessage?: string;
  /** Sent as it was written. */
  retryAfter?: string;
  retryAfterMs?: string;
  shouldRetry?: string;
  /** `anthropic-ratelimit-requests-reset` lies this far ahead, with nothing remaining. */
  resetMs?: number;
  /** The error's body is a proxy's page, not the envelope. */
  html?: boolean;
  /** This beta is refused when the call names it. */
  refusedBeta?: string;

  /** Nothing is sent for so long, not even the status. */
  firstByteMs?: number;
  /** Nothing is ever sent. */
  hang?: boolean;
  /** The connection is reset before the status. */
  reset?: boolean;
  /** An `error` event in place of the first content of a stream. */
  errorBeforeContent?: boolean;
  /** After so many deltas of a stream: silence; a reset; a clean end without `message_stop`; an `error` event. */
  stallAfter?: number;
  cutAfter?: number;
  endAfter?: number;
  errorAfter?: number;

  /** Tokens of text to answer with. */
  tokens?: number;
  /** Tokens a second; 0 is as fast as the connection takes them. */
  rate?: number;
  /** Milliseconds to the first token. */
  ttftMs?: number;
  /** Tokens in one delta. */
  chunk?: number;
  thinkingTokens?: number;
  /** The text to answer with. */
  say?: string;
  stopReason?: string;
  /** How many tools to call at once; 0 for none. */
  toolCalls?: number;
  /** The tool to call. */
  tool?: string;
  /** CRLF in the place of LF between the lines of a stream. */
  crlf?: boolean;
  /** A stream is written in pieces of so many bytes. */
  pieceBytes?: number;
}

/** Every word of a marker, with what it sets. `value` is the text behind `=`, undefined for a bare word. */
export const words: Readonly<Record<string, (scenario: Scenario, value: string | undefined) => void>> = {
  type: (s, v) => set(s, "errorType", v),
  code: (s, v) => set(s, "errorCode", v),
  message: (s, v) => set(s, "errorMessage", v),
  "retry-after": (s, v) => set(s, "retryAfter", v),
  "retry-after-ms": (s, v) => set(s, "retryAfterMs", v),
  "should-retry": (s, v) => set(s, "shouldRetry", v),
  reset: (s, v) => (v === undefined ? set(s, "reset", true) : set(s, "resetMs", duration(v))),
  html: (s) => set(s, "html", true),
  "refuse-beta": (s, v) => set(s, "refusedBeta", v),
  credit: (s) =>
    Object.assign(s, {
      status: 400,
      errorType: "invalid_request_error",
      errorMessage:
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
    }),
  "spend-limit": (s) =>
    Object.assign(s, {
      status: 429,
      errorCode: "enforced_spend_limit_reached",
      errorMessage: "You have reached your spend limit.",
    }),
  "on-hold": (s) =>
    Object.assign(s, {
      status: 400,
      errorCode: "organization_on_hold",
      errorMessage: "Your organization is on hold.",
    }),
  "slow-first-byte": (s, v) => set(s, "firstByteMs", duration(v)),
  hang: (s) => set(s, "hang", true),
  "error-before-content": (s) => set(s, "errorBeforeContent", true),
  "stall-after": (s, v) => set(s, "stallAfter", count(v)),
  "cut-after": (s, v) => set(s, "cutAfter", count(v)),
  "end-after": (s, v) => set(s, "endAfter", count(v)),
  "error-after": (s, v) => set(s, "errorAfter", count(v)),
  tokens: (s, v) => set(s, "tokens", count(v)),
  rate: (s, v) => set(s, "rate", count(v)),
  ttft: (s, v) => set(s, "ttftMs", duration(v)),
  chunk: (s, v) => set(s, "chunk", Math.max(1, count(v))),
  thinking: (s, v) => set(s, "thinkingTokens", count(v)),
  say: (s, v) => set(s, "say", v),
  stop: (s, v) => set(s, "stopReason", v),
  tools: (s, v) => set(s, "toolCalls", count(v)),
  tool: (s, v) => set(s, "tool", v),
  crlf: (s) => set(s, "crlf", true),
  bytes: (s, v) => set(s, "pieceBytes", Math.max(1, count(v))),
};

/** A marker that cannot be read; the message says which word and why. */
export class MarkerError extends Error {
  override readonly name = "MarkerError";
}

/** `5s`, `250ms` or a number of milliseconds, in milliseconds. */
function duration(value: string | undefined): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(value ?? "");
  if (!match) throw new MarkerError(`"${value ?? ""}" is not a duration such as 5s or 250ms`);
  const factor = match[2] === "s" ? 1000 : match[2] === "m" ? 60_000 : 1;
  return Number(match[1]) * factor;
}

function count(value: string | undefined): number {
  if (value === undefined || !/^\d+$/.test(value)) throw new MarkerError(`"${value ?? ""}" is not a whole number`);
  return Number(value);
}

function set<K extends keyof Scenario>(scenario: Scenario, key: K, value: Scenario[K] | undefined): void {
  if (value === undefined) throw new MarkerError("the word needs a value");
  scenario[key] = value;
}
