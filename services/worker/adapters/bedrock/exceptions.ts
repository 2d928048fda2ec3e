import type { AnthropicErrorType } from "#shared/messages/error.ts";
import type { FailureReason } from "../adapter.ts";

/** What an exception of Bedrock means to us. */
export interface ExceptionMeaning {
  readonly reason: FailureReason;
  /** The status the Messages API has for it. */
  readonly status: number;
  readonly type: AnthropicErrorType;
  readonly detail?: string;
}

const gatewaysOwn = {
  reason: "credential_refused",
  status: 401,
  type: "api_error",
} as const satisfies ExceptionMeaning;

/** By name; inside a stream the first letter is small. */
const meanings: Readonly<Record<string, ExceptionMeaning>> = {
  ValidationException: { reason: "invalid_request", status: 400, type: "invalid_request_error" },
  ServiceQuotaExceededException: {
    reason: "rate_limited",
    status: 429,
    type: "rate_limit_error",
    detail: "service quota",
  },
  AccessDeniedException: { reason: "forbidden", status: 403, type: "permission_error" },
  ResourceNotFoundException: { reason: "not_found", status: 404, type: "not_found_error" },
  ConflictException: { reason: "server_error", status: 409, type: "conflict_error", detail: "conflict" },
  ModelTimeoutException: { reason: "no_status", status: 504, type: "timeout_error", detail: "model timeout" },
  ModelErrorException: { reason: "server_error", status: 500, type: "api_error", detail: "model error" },
  ModelStreamErrorException: { reason: "server_error", status: 500, type: "api_error", detail: "model error" },
  ThrottlingException: { reason: "rate_limited", status: 429, type: "rate_limit_error" },
  ModelNotReadyException: { reason: "overloaded", status: 529, type: "overloaded_error", detail: "model not ready" },
  InternalServerException: { reason: "server_error", status: 500, type: "api_error" },
  ServiceUnavailableException: { reason: "overloaded", status: 529, type: "overloaded_error" },
  UnrecognizedClientException: { ...gatewaysOwn, detail: "unknown access key" },
  InvalidSignatureException: { ...gatewaysOwn, detail: "signature refused" },
  IncompleteSignatureException: { ...gatewaysOwn, detail: "signature refused" },
  MissingAuthenticationTokenException: { ...gatewaysOwn, detail: "no credential was sent" },
  ExpiredTokenException: { ...gatewaysOwn, detail: "expired credential" },
  RequestExpired: { ...gatewaysOwn, detail: "signature too old: check the clock" },
  InvalidClientTokenId: { ...gatewaysOwn, detail: "unknown access key" },
  NotAuthorized: { reason: "forbidden", status: 403, type: "permission_error" },
};

/** Undefined for a name that is not known. */
export function meaningOf(exception: string): ExceptionMeaning | undefined {
  const name = exception.charAt(0).toUpperCase() + exception.slice(1);
  return Object.hasOwn(meanings, name) ? meanings[name] : undefined;
}

const ownWords: Readonly<Record<AnthropicErrorType, string>> = {
  invalid_request_error: "The provider refused the request.",
  authentication_error: "The provider refused the gateway's credential.",
  billing_error: "The provider's account is spent.",
  permission_error: "The provider refused this model to the gateway.",
  not_found_error: "The provider does not serve this model.",
  rate_limit_error: "The provider's limit is reached. Please try again later.",
  request_too_large: "The request is larger than the provider takes.",
  api_error: "The provider failed.",
  timeout_error: "The model took too long.",
  overloaded_error: "The provider is overloaded. Please try again later.",
  conflict_error: "The provider is busy with a request of the same kind.",
};

/** What the caller is told. Only a validation speaks of the caller's own request; other words may name accounts and roles. */
export function callerWords(type: AnthropicErrorType, message: string): string {
  return type === "invalid_request_error" && message !== "" ? message : ownWords[type];
}
