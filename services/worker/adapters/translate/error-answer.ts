import { errorCodes, type AnthropicErrorType } from "#shared/messages/error.ts";

export interface AnswerError {
  readonly type: AnthropicErrorType;
  readonly message: string;
}

/** An error of another wire as the Messages API's envelope. `request_id` is filled in by who knows the call. */
export function errorAnswer(error: AnswerError, requestId: string | null = null): Buffer {
  return Buffer.from(
    JSON.stringify({ type: "error", error: { type: error.type, message: error.message }, request_id: requestId }),
  );
}

const rows = Object.values(errorCodes);
const own: readonly (readonly [number, AnthropicErrorType])[] = [
  [408, "timeout_error"],
  [503, "overloaded_error"],
];

/** The Messages API's error type of a status, whichever wire it came over. */
export function errorTypeOfStatus(status: number): AnthropicErrorType {
  const special = own.find(([known]) => known === status)?.[1];
  const row = special === undefined ? rows.find((candidate) => candidate.status === status) : undefined;
  return special ?? row?.type ?? (status >= 500 ? "api_error" : "invalid_request_error");
}
