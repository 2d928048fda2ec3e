import type { Scenario } from "../../scenario.ts";

interface Row {
  readonly type: string;
  readonly code: string | null;
  readonly message: string;
}

const badRequest: Row = { type: "invalid_request_error", code: null, message: "Simulated invalid request." };
const failed: Row = {
  type: "server_error",
  code: null,
  message: "The server had an error while processing your request.",
};

const rowOfStatus: Readonly<Record<number, Row>> = {
  401: { type: "invalid_request_error", code: "invalid_api_key", message: "Incorrect API key provided." },
  403: {
    type: "request_forbidden",
    code: "unsupported_country_region_territory",
    message: "Country, region, or territory not supported",
  },
  404: { type: "invalid_request_error", code: "model_not_found", message: "The model does not exist." },
  429: { type: "requests", code: "rate_limit_exceeded", message: "Rate limit reached for requests." },
  503: {
    type: "service_unavailable",
    code: null,
    message: "The engine is currently overloaded, please try again later.",
  },
};

/** What scenarios call an error by Anthropic's name. */
const statusOfType: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  overloaded_error: 503,
  timeout_error: 504,
};

/** An answer that is an error, in OpenAI's terms. */
export class ChatApiError extends Error {
  override readonly name = "ChatApiError";
  readonly status: number;
  readonly param: string | null;
  readonly code: string | null;

  constructor(status: number, message?: string, members: { readonly param?: string; readonly code?: string } = {}) {
    super(message ?? rowOf(status).message);
    this.status = status;
    this.param = members.param ?? null;
    this.code = members.code ?? rowOf(status).code;
  }
}

/** The document of an error, and the data of one inside a stream. */
export function errorDocument({ status, message, param, code }: ChatApiError): string {
  const type = code === "insufficient_quota" ? code : rowOf(status).type;
  return JSON.stringify({ error: { message, type, param, code } });
}

export function scenarioError(scenario: Scenario): ChatApiError {
  const { status, errorType, errorMessage, errorCode } = scenario;
  const counted = status ?? statusOfType[errorType ?? ""] ?? 500;
  const spent = errorCode === "enforced_spend_limit_reached" ? "insufficient_quota" : errorCode;
  return new ChatApiError(counted === 529 ? 503 : counted, errorMessage, spent === undefined ? {} : { code: spent });
}

function rowOf(status: number): Row {
  return rowOfStatus[status] ?? (status >= 500 ? failed : badRequest);
}
