import type { IncomingHttpHeaders } from "node:http";
import type { CallBodyFacts } from "#shared/messages/body.ts";
import type { CallHead, ForwardedHeaders, Operation, Priority } from "#shared/messages/call.ts";
import type { CallTimes } from "./call-times.ts";

export interface CallIdentity {
  readonly id: string;
  readonly operation: Operation;
  readonly keyId: string;
  /** Catalogue name. */
  readonly model: string;
  readonly headers: ForwardedHeaders;
  /** What the client calls its conversation, if it says so. */
  readonly session: string | undefined;
  /** Only whole answers can be background work: for a stream somebody waits, and counts have a lane of their own. */
  readonly priority: Priority;
  readonly notes?: readonly string[];
}

const usualVersion = "2023-06-01";
const longestSession = 128;

/** The headers that go to a provider; nothing else of the caller's does. */
export function pickForwardedHeaders(headers: IncomingHttpHeaders): ForwardedHeaders {
  const picked: { -readonly [Name in keyof ForwardedHeaders]: string } = {
    "anthropic-version": oneValue(headers["anthropic-version"]) ?? usualVersion,
  };
  const betas = oneValue(headers["anthropic-beta"]);
  if (betas !== undefined) picked["anthropic-beta"] = betas;
  if (headers.accept !== undefined) picked.accept = headers.accept;
  if (headers["content-type"] !== undefined) picked["content-type"] = headers["content-type"];
  if (headers["user-agent"] !== undefined) picked["user-agent"] = headers["user-agent"];
  return picked;
}

/** The header by which a client names its conversation, so that what it caches at a provider is found again. */
export function readSession(headers: IncomingHttpHeaders): string | undefined {
  const session = oneValue(headers["x-claude-code-session-id"]);
  return session === undefined ? undefined : `session:${session.slice(0, longestSession)}`;
}

export function makeCallHead(identity: CallIdentity, facts: CallBodyFacts, times: CallTimes): CallHead {
  const { session, priority, ...named } = identity;
  const affinity = session ?? facts.affinityHash;
  const isBackground = priority === "background" && !facts.stream && identity.operation === "messages";
  return {
    ...named,
    stream: facts.stream,
    askedModel: facts.model,
    splices: facts.splices,
    wishes: facts.wishes,
    ...(affinity === undefined ? undefined : { affinity }),
    ...(facts.thread === undefined ? undefined : { thread: facts.thread }),
    ...(facts.container === undefined ? undefined : { container: facts.container }),
    ...(isBackground ? { priority } : undefined),
    ...times,
  };
}

function oneValue(header: string | string[] | undefined): string | undefined {
  const value = Array.isArray(header) ? header.join(",") : header;
  return value === "" ? undefined : value;
}
