import type { AnthropicErrorType } from "#shared/messages/error.ts";
import type { FailureReason } from "../adapter.ts";
import { errorTypeOfStatus, type AnswerError } from "../translate/error-answer.ts";
import { isFields, type Fields } from "../translate/reading.ts";

/** What an error document of this wire says. */
export interface ChatErrorFacts {
  readonly message: string;
  /** `code` and `type`, in lower case; servers put the same words in either. */
  readonly words: ReadonlySet<string>;
  /** A status that the document names. */
  readonly status?: number;
}

/**
 * The error in a parsed document or event: `{error: {…}}`, `{error: "…"}`, `{message, code}`, `{detail}`, or one of
 * these as the only element of a list. Undefined when it is none.
 */
export function readChatError(value: unknown): ChatErrorFacts | undefined {
  if (Array.isArray(value)) return value.length === 1 ? readChatError(value[0]) : undefined;
  if (!isFields(value)) return undefined;
  const { error } = value;
  if (typeof error === "string" && error !== "") return { message: error, words: wordsOf(value) };
  if (isFields(error)) return factsOf(error);
  return value["choices"] === undefined ? factsOfBare(value) : undefined;
}

function factsOfBare(value: Fields): ChatErrorFacts | undefined {
  const message = value["message"] ?? value["detail"];
  return typeof message === "string" ? factsOf({ ...value, message }) : undefined;
}

function factsOf(error: Fields): ChatErrorFacts {
  const message = typeof error["message"] === "string" ? error["message"] : "";
  const status = [error["code"], error["status"], error["status_code"]].map(Number).find((n) => n >= 400 && n < 600);
  return { message, words: wordsOf(error), ...(status === undefined ? undefined : { status }) };
}

function wordsOf({ code, type }: Fields): ReadonlySet<string> {
  return new Set([code, type].filter((word) => typeof word === "string").map((word) => word.toLowerCase()));
}

/** An error of this wire in our terms. */
export interface ChatTrouble {
  readonly status: number;
  readonly reason: FailureReason;
  readonly type: AnthropicErrorType;
  readonly detail?: string;
}

type Row = readonly [reason: FailureReason, status: number, detail?: string];

/** What is told by words counts before the status: it is the same word under several statuses. */
const rowOfWord: Readonly<Record<string, Row>> = {
  insufficient_quota: ["account_exhausted", 402, "quota used up"],
  billing_hard_limit_reached: ["account_exhausted", 402, "spend limit"],
  billing_not_active: ["account_exhausted", 402, "billing not active"],
  exceeded_current_quota_error: ["account_exhausted", 402, "quota used up"],
  insufficient_balance: ["account_exhausted", 402, "no balance"],
  access_terminated: ["account_exhausted", 402, "account ended"],
  account_deactivated: ["account_exhausted", 402, "account off"],
  invalid_api_key: ["credential_refused", 401],
  invalid_authentication: ["credential_refused", 401],
  model_not_found: ["not_found", 404, "model not found"],
  resource_not_found_error: ["not_found", 404, "model not found"],
  rate_limit_exceeded: ["rate_limited", 429],
  rate_limit_error: ["rate_limited", 429],
  rate_limit_reached_error: ["rate_limited", 429],
  tokens: ["rate_limited", 429],
  requests: ["rate_limited", 429],
  engine_overloaded_error: ["overloaded", 529],
  overloaded_error: ["overloaded", 529],
  overloaded: ["overloaded", 529],
  service_unavailable: ["overloaded", 529],
  server_is_overloaded: ["overloaded", 529],
  slow_down: ["overloaded", 529],
  timeout: ["no_status", 504, "timed out there"],
};

/** Words that would hide a better status behind them; they count only where the status says nothing. */
const rowOfVagueWord: Readonly<Record<string, Row>> = {
  invalid_request_error: ["invalid_request", 400],
  context_length_exceeded: ["invalid_request", 400],
  bad_request: ["invalid_request", 400],
  authentication_error: ["credential_refused", 401],
  permission_error: ["forbidden", 403],
  not_found_error: ["not_found", 404],
  server_error: ["server_error", 500],
  internal_server_error: ["server_error", 500],
};

/** By these words a response that failed tells what is wrong with the prompt. */
const promptWords: ReadonlySet<string> = new Set(
  (
    "invalid_prompt bio_policy invalid_image invalid_image_format invalid_base64_image invalid_image_url " +
    "image_too_large image_too_small image_parse_error image_content_policy_violation invalid_image_mode " +
    "image_file_too_large unsupported_image_media_type empty_image_file failed_to_download_image image_file_not_found"
  ).split(" "),
);

/** What only the account's owner can change, whatever status it comes with; another account may be served. */
const ownersAffair = /organization must be verified/i;

const rowOfStatus: Readonly<Record<number, Row>> = {
  401: ["credential_refused", 401],
  402: ["account_exhausted", 402, "account trouble"],
  403: ["forbidden", 403],
  404: ["not_found", 404],
  408: ["no_status", 504, "request timeout"],
  409: ["server_error", 409, "conflict"],
  413: ["invalid_request", 413],
  429: ["rate_limited", 429],
  498: ["overloaded", 529, "no capacity"],
  503: ["overloaded", 529],
  504: ["no_status", 504, "gateway timeout"],
  524: ["no_status", 504, "gateway timeout"],
  529: ["overloaded", 529],
};

/** @param status of the answer; undefined where a success or a stream carried the error. */
export function troubleOf(error: ChatErrorFacts | undefined, status: number | undefined): ChatTrouble {
  const [reason, counted, detail] = rowOf(error, status);
  return {
    status: counted,
    reason,
    type: errorTypeOfStatus(counted),
    ...(detail === undefined ? undefined : { detail }),
  };
}

function rowOf(error: ChatErrorFacts | undefined, answered: number | undefined): Row {
  const status = answered ?? error?.status;
  const word = lookUp(rowOfWord, error);
  if (word) return word;
  if (ownersAffair.test(error?.message ?? "")) return ["forbidden", 403, "organization not verified"];
  if (status === undefined) return rowOfWords(error);
  const row = rowOfStatus[status];
  if (row) return row;
  return status >= 500 ? ["server_error", status] : ["invalid_request", 400];
}

/** Where no status says anything. */
function rowOfWords(error: ChatErrorFacts | undefined): Row {
  const isPrompts = [...(error?.words ?? [])].some((word) => promptWords.has(word));
  return isPrompts ? ["invalid_request", 400] : (lookUp(rowOfVagueWord, error) ?? ["server_error", 500]);
}

function lookUp(rows: Readonly<Record<string, Row>>, error: ChatErrorFacts | undefined): Row | undefined {
  for (const word of error?.words ?? []) if (Object.hasOwn(rows, word)) return rows[word];
  return undefined;
}

const tooLong =
  /maximum context length|context[ _]length|context window|prompt is too long|exceeds? the (?:model's )?max/i;

/**
 * What the caller is told: the provider's words where the caller can act on them, and by the API's own words where
 * clients act on those.
 */
export function callerError(error: ChatErrorFacts | undefined, { type, status }: ChatTrouble): AnswerError {
  const message = error?.message ?? "";
  const isTooLong = error?.words.has("context_length_exceeded") === true || (status === 400 && tooLong.test(message));
  if (isTooLong) return { type: "invalid_request_error", message: tooLongMessage(message) };
  if (error?.words.has("invalid_encrypted_content") === true)
    return { type: "invalid_request_error", message: `Invalid \`signature\` in \`thinking\` block: ${message}` };
  if (type === "overloaded_error") return { type, message: "Overloaded" };
  return { type, message: message === "" ? "The provider gave no reason." : message };
}

const missingPath =
  /^(?:resource )?not found\.?$|invalid url|(?:cannot|unknown|no such) (?:post|path|route|url|endpoint)/i;

/** Whether a 404 is about the path, which the server does not have, rather than about a model. */
export function isMissingPath(error: ChatErrorFacts | undefined): boolean {
  return error === undefined || missingPath.test(error.message);
}

/** An error inside a stream; only of what is the caller's doing are the provider's words told. */
export function streamError(error: ChatErrorFacts): AnswerError {
  const trouble = troubleOf(error, undefined);
  const isCallers = trouble.reason === "invalid_request";
  return { type: trouble.type, message: isCallers ? callerError(error, trouble).message : "The provider failed." };
}

/** Clients look for these words to know that they have to compact. */
function tooLongMessage(message: string): string {
  const most = /maximum context length (?:is|of) (\d+)/i.exec(message)?.[1];
  const found = /(?:resulted in|requested|contains?(?: at least)?) (\d+)/i.exec(message)?.[1];
  if (most !== undefined && found !== undefined) return `prompt is too long: ${found} tokens > ${most} maximum`;
  return `prompt is too long: ${message}`;
}
