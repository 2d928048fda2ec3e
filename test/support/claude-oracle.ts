import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { createBoundState } from "../../services/simulator/answer/bound-state.ts";
import { createPromptCache } from "../../services/simulator/answer/prompt-cache.ts";
import { createPacer } from "../../services/simulator/pacer.ts";
import { createRateLimits } from "../../services/simulator/rate-limits.ts";
import { readBody } from "../../services/simulator/read-body.ts";
import { createRequestLog } from "../../services/simulator/request-log.ts";
import { createScenarios } from "../../services/simulator/scenarios.ts";
import { createBedrockWire } from "../../services/simulator/wires/bedrock.ts";
import { createFoundryWire } from "../../services/simulator/wires/foundry.ts";
import { createVertexWire } from "../../services/simulator/wires/vertex.ts";
import type { UpstreamRequest } from "../../services/worker/adapters/adapter.ts";
import { headersOf } from "./claude-call.ts";

export interface CapturedRequest {
  readonly method: string;
  /** With the query, as it was sent. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The simulator's wires for Claude elsewhere, with everything they are asked written down. */
export interface ClaudeOracle {
  readonly url: string;
  readonly captured: CapturedRequest[];
  /** Sends what an adapter made. */
  send(
    request: UpstreamRequest,
  ): Promise<{ readonly head: { status: number; headers: Record<string, string> }; readonly body: Buffer }>;
  close(): void;
}

export async function startClaudeOracle(): Promise<ClaudeOracle> {
  const pacer = createPacer();
  const deps = {
    pace: { ttftMs: 0, tokensPerSecond: 0, tokensPerDelta: 2 },
    keys: [],
    scenarios: createScenarios(),
    pacer,
    cache: createPromptCache(),
    bound: createBoundState(),
    limits: createRateLimits(0),
    log: createRequestLog(() => 0),
  };
  const wires = [createBedrockWire(deps, []), createVertexWire(deps, []), createFoundryWire(deps, [])];
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
    close() {
      pacer.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Headers in which a vendor's SDK and we differ on every wire, and why. */
export const usualDifferences: Readonly<Record<string, string>> = {
  "user-agent": "the caller's own goes on",
  "accept-encoding": "identity: what comes back is relayed as it is",
  "accept-language": "fetch adds it",
  "sec-fetch-mode": "fetch adds it",
  connection: "the connection's affair",
  host: "the connection's affair",
  "content-length": "the order of members, and with it the whitespace, is the caller's",
  "transfer-encoding": "the connection's affair",
};

/** The headers that have to be equal: all but the SDK's telemetry and those that a table of differences names. */
export function comparable(headers: IncomingHttpHeaders, differences: Readonly<Record<string, string>>): object {
  const kept = Object.entries(headers).filter(
    ([name]) => !name.startsWith("x-stainless-") && !Object.hasOwn(differences, name),
  );
  return Object.fromEntries(kept);
}

const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] } as const;
const user = (content: string | object[]): object => ({ role: "user", content });

/** Calls that every SDK of Claude's can make. */
export const claudeCases: readonly (readonly [string, object])[] = [
  ["text", { messages: [user("Grüß dich 👋")] }],
  [
    "system with a cache mark",
    { system: [{ type: "text", text: "s", cache_control: { type: "ephemeral", ttl: "1h" } }], messages: [user("hi")] },
  ],
  ["thinking", { thinking: { type: "adaptive" }, output_config: { effort: "low" }, messages: [user("hi")] }],
  [
    "image and document",
    {
      messages: [
        user([
          { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } },
          { type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0xLjQK" } },
          { type: "text", text: "what is it?" },
        ]),
      ],
    },
  ],
  [
    "tools",
    {
      tools: [{ name: "weather", description: "d", input_schema: schema }],
      tool_choice: { type: "any" },
      messages: [user("weather?")],
    },
  ],
  [
    "tool results",
    {
      tools: [{ name: "weather", input_schema: schema }],
      messages: [
        user("weather?"),
        { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Oslo" } }] },
        user([{ type: "tool_result", tool_use_id: "toolu_1", content: "4 °C", is_error: false }]),
      ],
    },
  ],
];
