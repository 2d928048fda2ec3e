import type { Allowance } from "../../rate-limits.ts";
import type { ErrorBody } from "./api-error.ts";
import type { Account } from "./messages-call.ts";
import { accountHeaders, rateLimitHeaders } from "./response-headers.ts";

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** How answers look where Claude is served by somebody else; what is asked and answered is the same. */
export interface Dialect {
  /** Of every answer, besides its content type. */
  headers(account: Account, allowance: Allowance | undefined): Record<string, string>;
  /** Whether a limited caller is told when to come again. */
  readonly hints: boolean;
  error(status: number, error: ErrorBody["error"], account: Account): ErrorAnswer;
  count(inputTokens: number): unknown;
  readonly streamType: string;
  /** Of what `frame` gives; UTF-8 if absent. */
  readonly encoding?: "latin1";
  /** One server-sent event as it goes out. */
  frame(event: string): string;
}

/** Anthropic's own. */
export const ownDialect: Dialect = {
  headers: (account, allowance) => ({
    ...accountHeaders(account),
    ...(allowance === undefined ? {} : rateLimitHeaders(allowance)),
  }),
  hints: true,
  error: (status, error, { requestId }) => ({
    status,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type: "error", error, request_id: requestId }),
  }),
  count: (inputTokens) => ({ input_tokens: inputTokens }),
  streamType: "text/event-stream; charset=utf-8",
  frame: (event) => event,
};
