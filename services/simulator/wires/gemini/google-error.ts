import type { Scenario } from "../../scenario.ts";

interface Row {
  readonly code: number;
  readonly status: string;
  readonly message: string;
}

const rows: readonly Row[] = [
  { code: 400, status: "INVALID_ARGUMENT", message: "Simulated invalid argument." },
  { code: 401, status: "UNAUTHENTICATED", message: "Request had invalid authentication credentials." },
  { code: 403, status: "PERMISSION_DENIED", message: "Permission denied." },
  { code: 404, status: "NOT_FOUND", message: "Requested entity was not found." },
  { code: 409, status: "ABORTED", message: "The operation was aborted." },
  { code: 429, status: "RESOURCE_EXHAUSTED", message: "Resource has been exhausted (e.g. check quota)." },
  { code: 499, status: "CANCELLED", message: "The operation was cancelled." },
  { code: 500, status: "INTERNAL", message: "An internal error has occurred." },
  { code: 503, status: "UNAVAILABLE", message: "The model is overloaded. Please try again later." },
  { code: 504, status: "DEADLINE_EXCEEDED", message: "The deadline expired before the operation could complete." },
];

/** What scenarios call an error by Anthropic's name. */
const codeOfType: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  permission_error: 403,
  not_found_error: 404,
  rate_limit_error: 429,
  api_error: 500,
  overloaded_error: 503,
  timeout_error: 504,
};

/** An answer that is an error, in Google's terms. */
export class GoogleApiError extends Error {
  override readonly name = "GoogleApiError";
  readonly code: number;
  readonly details: readonly object[];

  constructor(code: number, message?: string, details: readonly object[] = []) {
    super(message ?? rowOf(code).message);
    this.code = code;
    this.details = details;
  }
}

export function errorInfo(reason: string): object {
  return { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason, domain: "googleapis.com" };
}

/** The document of an error, printed over several lines as Google does. */
export function errorDocument({ code, message, details }: GoogleApiError): string {
  const more = details.length > 0 ? { details } : {};
  return JSON.stringify({ error: { code, message, status: rowOf(code).status, ...more } }, null, 2);
}

export function scenarioError(scenario: Scenario): GoogleApiError {
  const code = scenario.status ?? codeOfType[scenario.errorType ?? ""] ?? 500;
  const { errorCode, retryAfter } = scenario;
  const details: object[] = [];
  if (errorCode !== undefined) details.push(errorInfo(errorCode));
  if (code === 429 && retryAfter !== undefined)
    details.push({ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: `${retryAfter}s` });
  return new GoogleApiError(code === 529 ? 503 : code, scenario.errorMessage, details);
}

function rowOf(code: number): Row {
  return rows.find((row) => row.code === code) ?? { code, status: "UNKNOWN", message: "Simulated error." };
}
