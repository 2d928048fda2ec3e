import type { Scenario } from "../../scenario.ts";

/** Anthropic's error type for a status, as the API pairs them. */
const typeOfStatus: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  408: "timeout_error",
  409: "conflict_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error",
};

const messageOfType: Readonly<Record<string, string>> = {
  invalid_request_error: "Simulated invalid request.",
  authentication_error: "invalid x-api-key",
  billing_error: "Simulated billing error.",
  permission_error: "Your API key does not have permission to use the specified resource.",
  not_found_error: "Not found",
  timeout_error: "Simulated timeout.",
  conflict_error: "Simulated conflict.",
  request_too_large: "Request exceeds the maximum size",
  rate_limit_error: "This request would exceed your account's rate limit. Please try again later.",
  overloaded_error: "Overloaded",
  api_error: "Internal server error",
};

/** An answer that is an error, in Anthropic's terms. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly type: string;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(status: number, message?: string, details?: Readonly<Record<string, unknown>>) {
    const type = errorType(status);
    super(message ?? messageOfType[type]);
    this.status = status;
    this.type = type;
    this.details = details;
  }
}

/** The body of an error, and the data of an `error` event. */
export interface ErrorBody {
  readonly type: "error";
  readonly error: { readonly type: string; readonly message: string; readonly details?: unknown };
  readonly request_id: string;
}

export function errorBody(error: ApiError, requestId: string): ErrorBody {
  const details = error.details === undefined ? {} : { details: error.details };
  return { type: "error", error: { type: error.type, message: error.message, ...details }, request_id: requestId };
}

/** The error a scenario asks for: its status, or the status of its type; undefined when it asks for none. */
export function scenarioError(scenario: Scenario): { readonly status: number; readonly error: ErrorBody["error"] } {
  const type = scenario.errorType ?? errorType(scenario.status ?? 500);
  const details = scenario.errorCode === undefined ? {} : { details: { error_code: scenario.errorCode } };
  const message = scenario.errorMessage ?? messageOfType[type] ?? "Simulated error.";
  return { status: scenario.status ?? statusOfType(type), error: { type, message, ...details } };
}

function errorType(status: number): string {
  return typeOfStatus[status] ?? (status >= 500 ? "api_error" : "invalid_request_error");
}

function statusOfType(type: string): number {
  const status = Object.keys(typeOfStatus).find((key) => typeOfStatus[Number(key)] === type);
  return status === undefined ? 500 : Number(status);
}
