/** Anthropic's error types, the only ones clients know. Source: the SDK's ErrorType union and `request_too_large`. */
export type AnthropicErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "billing_error"
  | "permission_error"
  | "not_found_error"
  | "rate_limit_error"
  | "request_too_large"
  | "timeout_error"
  | "api_error"
  | "overloaded_error"
  | "conflict_error";

interface CodeRow {
  readonly status: number;
  readonly type: AnthropicErrorType;
}

/** Every way a call can fail by our own word, with what the caller sees. */
export const errorCodes = {
  invalid_request: { status: 400, type: "invalid_request_error" },
  unauthenticated: { status: 401, type: "authentication_error" },
  spent: { status: 402, type: "billing_error" },
  forbidden: { status: 403, type: "permission_error" },
  not_found: { status: 404, type: "not_found_error" },
  method_not_allowed: { status: 405, type: "invalid_request_error" },
  request_timeout: { status: 408, type: "timeout_error" },
  conflict: { status: 409, type: "conflict_error" },
  request_too_large: { status: 413, type: "request_too_large" },
  unprocessable: { status: 422, type: "invalid_request_error" },
  rate_limited: { status: 429, type: "rate_limit_error" },
  cancelled: { status: 499, type: "api_error" },
  internal: { status: 500, type: "api_error" },
  /** The gateway's own account at every provider was refused. */
  upstream_refused: { status: 502, type: "api_error" },
  timed_out: { status: 504, type: "timeout_error" },
  overloaded: { status: 529, type: "overloaded_error" },
} as const satisfies Record<string, CodeRow>;

export type ErrorCode = keyof typeof errorCodes;

export interface ErrorOptions {
  /** Seconds, rounded up, sent as `retry-after`. */
  readonly retryAfterS?: number;
  /** Sent as `x-should-retry`; the SDKs obey it. */
  readonly shouldRetry?: boolean;
  /** `error.details`; use `error_code` values of the Messages API only, clients branch on them. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** The member's path or the header's name that is at fault, for our own log: in names of ours, never in the caller's text. */
  readonly where?: string;
  readonly cause?: unknown;
}

/** The one error class. `message` is for people and reaches the caller; `code` is for machines. */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterS: number | undefined;
  readonly shouldRetry: boolean | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly where: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "GatewayError";
    this.code = code;
    this.retryAfterS = options.retryAfterS;
    this.shouldRetry = options.shouldRetry;
    this.details = options.details;
    this.where = options.where;
  }

  get status(): number {
    return errorCodes[this.code].status;
  }

  get type(): AnthropicErrorType {
    return errorCodes[this.code].type;
  }
}

/** What was thrown, as a GatewayError; a stranger becomes `internal` with a message that gives nothing away. */
export function toGatewayError(reason: unknown): GatewayError {
  if (reason instanceof GatewayError) return reason;
  if (reason instanceof Error && reason.name === "AbortError" && reason.cause instanceof GatewayError)
    return reason.cause;
  return new GatewayError("internal", "Internal gateway error.", { cause: reason });
}

export interface ErrorEnvelope {
  readonly type: "error";
  readonly error: {
    readonly type: string;
    readonly message: string;
    readonly details?: Readonly<Record<string, unknown>>;
  };
  readonly request_id: string;
}

/** Anthropic's envelope of an error, for a body, a stream's `error` event or a batch line. */
export function errorEnvelope(error: GatewayError, requestId: string): ErrorEnvelope {
  return {
    type: "error",
    error: { type: error.type, message: error.message, ...(error.details ? { details: error.details } : {}) },
    request_id: requestId,
  };
}

/** The headers that go with an error: `retry-after`, `x-should-retry`. */
export function errorHeaders(error: GatewayError): Record<string, string> {
  const headers: Record<string, string> = {};
  if (error.retryAfterS !== undefined) headers["retry-after"] = String(Math.max(1, Math.ceil(error.retryAfterS)));
  if (error.shouldRetry !== undefined) headers["x-should-retry"] = String(error.shouldRetry);
  return headers;
}
