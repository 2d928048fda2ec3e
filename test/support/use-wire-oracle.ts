import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

import { afterAll, beforeEach, expect } from "vitest";

import { createBoundState } from "../../services/simulator/answer/bound-state.ts";
import { createPromptCache } from "../../services/simulator/answer/prompt-cache.ts";
import { createPacer } from "../../services/simulator/pacer.ts";
import { createRateLimits } from "../../services/simulator/rate-limits.ts";
import { readBody } from "../../services/simulator/read-body.ts";
import { createRequestLog } from "../../services/simulator/request-log.ts";
import { createScenarios } from "../../services/simulator/scenarios.ts";
import type { Wire, WireDeps } from "../../services/simulator/wires/wire.ts";
import type { UpstreamHead, UpstreamRequest } from "../../services/worker/adapters/adapter.ts";
import { headersOf } from "./claude-call.ts";

export interface CapturedRequest {
  readonly method: string;
  /** With the query, as it was sent. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Wires of the simulator, with everything that a test asks them written down: the vendor's SDK first, then we. */
export interface WireOracle {
  readonly url: string;
  readonly captured: readonly CapturedRequest[];
  /** Sends what an adapter made. */
  send(request: UpstreamRequest): Promise<{ readonly head: UpstreamHead; readonly body: Buffer }>;
  /** Two requests were made, and they differ in nothing but the headers that this table names; paths as `pathOf` has them. */
  expectEqualRequests(differences: Readonly<Record<string, string>>, pathOf?: (path: string) => string): void;
}

/** For all tests of a file. */
export async function useWireOracle(open: (deps: WireDeps) => readonly Wire[]): Promise<WireOracle> {
  const pacer = createPacer();
  const wires = open({
    pace: { ttftMs: 0, tokensPerSecond: 0, tokensPerDelta: 2 },
    keys: [],
    scenarios: createScenarios(),
    pacer,
    cache: createPromptCache(),
    bound: createBoundState(),
    limits: createRateLimits(0),
    log: createRequestLog(() => 0),
  });
  const captured: CapturedRequest[] = [];
  const server = createServer((request, response) => {
    readBody(request, 1_000_000, (body = Buffer.alloc(0)) => {
      const { method = "", url: path = "/", headers } = request;
      const { pathname, searchParams: query } = new URL(path, "http://x");
      captured.push({ method, path, headers, body });
      const wire = wires.find((candidate) => candidate.handles(pathname));
      if (wire) wire.handle({ method, path: pathname, query, headers, body }, response);
      else response.writeHead(404).end();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  beforeEach(() => void (captured.length = 0));
  afterAll(() => {
    pacer.close();
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    captured,
    async send(request) {
      const body = Buffer.concat([...request.body]);
      const response = await fetch(url + request.path, { method: "POST", headers: headersOf(request), body });
      const headers = Object.fromEntries(response.headers);
      return { head: { status: response.status, headers }, body: Buffer.from(await response.arrayBuffer()) };
    },
    expectEqualRequests(differences, pathOf = (path) => path) {
      expect(captured).toHaveLength(2);
      const [theirs, ours] = captured.map(({ method, path, headers, body }) => ({
        method,
        path: pathOf(path),
        headers: comparable(headers, differences),
        body: JSON.parse(body.toString()) as unknown,
      }));
      expect(ours).toEqual(theirs);
    },
  };
}

/** Headers in which a vendor's SDK and we differ on every wire, and why. */
export const usualDifferences = {
  "user-agent": "the caller's own goes on",
  "accept-encoding": "identity: what is read or relayed as it comes must not be compressed",
  "accept-language": "fetch adds it",
  "sec-fetch-mode": "fetch adds it",
  connection: "the connection's affair",
  host: "the connection's affair",
  "content-length": "the order of members, and with it the whitespace, is the caller's",
  "transfer-encoding": "the connection's affair",
} as const;

/** The headers that have to be equal: all but the SDK's telemetry and those that a table of differences names. */
function comparable(headers: IncomingHttpHeaders, differences: Readonly<Record<string, string>>): object {
  const kept = Object.entries(headers).filter(
    ([name]) => !name.startsWith("x-stainless-") && !Object.hasOwn(differences, name),
  );
  return Object.fromEntries(kept);
}
