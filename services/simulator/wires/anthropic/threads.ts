import type { BoundState, StoredThread } from "../../answer/bound-state.ts";
import { ApiError } from "./api-error.ts";
import { threadsBeta } from "./check-request.ts";
import type { MessagesCall } from "./messages-call.ts";
import type { MessagesRequest } from "./messages-request.ts";
import { asArray, asObject } from "../json.ts";

/** A thread that a call begins or goes on with. */
export interface OpenThread {
  /** What the provider already holds. */
  readonly history: readonly unknown[];
  /** `system` and `tools` of the call that made the thread. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Keeps the conversation under the answer's id, for the next call to go on from. */
  store(messageId: string, request: MessagesRequest, answer: unknown): void;
  /** The call ended; without `store`, the thread may be continued again. */
  release(): void;
}

const settingFields = ["system", "tools"];

/** The thread a call names; undefined without one. Throws the API's errors: not found, already continued and so on. */
export function openThread(call: MessagesCall, betas: ReadonlySet<string>, bound: BoundState): OpenThread | undefined {
  const { body, account } = call;
  const { type, previous_message_id: previous } = asObject(body["thread"]);
  if (type === undefined || !betas.has(threadsBeta)) return undefined;
  const stored = type === "continue" ? findThread(call, String(previous), bound) : undefined;
  const settings =
    stored?.settings ??
    Object.fromEntries(settingFields.filter((field) => field in body).map((field) => [field, body[field]]));
  if (stored) stored.state = "in_flight";
  return {
    history: stored?.messages ?? [],
    settings,
    store(messageId, request, answer) {
      if (stored) stored.state = "continued";
      const sent = asArray(body["messages"]);
      bound.storeThread(account.apiKey, messageId, {
        model: request.model,
        settings,
        messages: [...(stored?.messages ?? []), ...sent, { role: "assistant", content: answer }],
        state: "open",
      });
    },
    release() {
      if (stored?.state === "in_flight") stored.state = "open";
    },
  };
}

function findThread({ body, account }: MessagesCall, messageId: string, bound: BoundState): StoredThread {
  const repeated = settingFields.filter((field) => field in body);
  if (repeated.length > 0) throw new ApiError(400, `${repeated[0]}: cannot be set when a thread is continued`);
  const stored = bound.thread(account.apiKey, messageId);
  if (!stored) throw new ApiError(404, `Thread not found: ${messageId}`, { error_code: "thread_not_found" });
  const trouble =
    stored.state === "continued"
      ? "thread_already_continued"
      : stored.state === "in_flight"
        ? "thread_continue_in_flight"
        : stored.model === body["model"]
          ? undefined
          : "thread_fingerprint_mismatch";
  if (trouble) throw new ApiError(400, `The thread cannot be continued: ${trouble}.`, { error_code: trouble });
  return stored;
}
