import type { ServerResponse, IncomingHttpHeaders } from "node:http";

import type { BoundState } from "../answer/bound-state.ts";
import type { PromptCache } from "../answer/prompt-cache.ts";
import type { Pacer } from "../pacer.ts";
import type { Pace } from "../play.ts";
import type { RateLimits } from "../rate-limits.ts";
import type { RequestLog } from "../request-log.ts";
import type { Scenarios } from "../scenarios.ts";

/** A request that was read to its end. */
export interface SimulatedRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One provider's API. */
export interface Wire {
  /** True when the path belongs to this wire. */
  handles(path: string): boolean;
  /** Answers the request, now or later. */
  handle(request: SimulatedRequest, response: ServerResponse): void;
}

/** What the wires of one simulator share. */
export interface WireDeps {
  readonly pace: Pace;
  /** Keys that are let in; empty for every key. */
  readonly keys: readonly string[];
  readonly scenarios: Scenarios;
  readonly pacer: Pacer;
  readonly cache: PromptCache;
  readonly bound: BoundState;
  readonly limits: RateLimits;
  readonly log: RequestLog;
}
