import { crc32 } from "node:zlib";

import { describe, expect, test } from "vitest";

import { get, post, prompt } from "../support/clients.ts";
import { chunkFrame, exceptionFrame } from "../support/event-frames.ts";
import type { Exchange } from "../support/upstream.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";

// Providers that are set up wrongly or answer what no provider should: a clear reason in the trace, the next target is
// asked, no process is shaken, and no secret is told.

type Provider = Readonly<Record<string, unknown>>;
type Answer = (exchange: Exchange) => void;

interface Case {
  readonly name: string;
  readonly provider: (url: string) => Provider;
  readonly answer?: Answer;
  readonly stream?: true;
  readonly reason: string;
  readonly detail?: string | RegExp;
}

/** Every secret that the workers are given begins so. */
const canary = "canary-of-a-credential";

const bedrock = (url: string): Provider => ({
  type: "bedrock",
  region: "us-east-1",
  base_url: url,
  access_key_id: "AKIDEXAMPLE",
  secret_access_key: `${canary}-aws`,
  session_token: `${canary}-session`,
});
const vertex = (url: string): Provider => ({
  type: "vertex",
  project: "acme",
  region: "global",
  base_url: url,
  access_token: `${canary}-google`,
});
const foundry = (url: string): Provider => ({
  type: "foundry",
  resource: "acme",
  base_url: `${url}/anthropic`,
  api_key: `${canary}-azure`,
});
const openai = (url: string): Provider => ({ type: "openai", base_url: `${url}/v1`, api_key: `${canary}-openai` });
const gemini = (url: string): Provider => ({ type: "gemini", base_url: url, api_key: `${canary}-gemini` });
const lookAlike = (url: string): Provider => ({
  type: "anthropic",
  base_url: `${url}/other`,
  api_key: `${canary}-other`,
  headers: { "x-team": `${canary}-header` },
});

const platform = (url: string): Provider => ({ type: "anthropic", base_url: `${url}/platform` });

const exception =
  (status: number, type: string, message: string): Answer =>
  (exchange) =>
    exchange.json(status, { message }, { "x-amzn-errortype": type });
const google =
  (code: number, status: string, message: string): Answer =>
  (exchange) =>
    exchange.json(code, { error: { code, status, message } });
const page =
  (status: number): Answer =>
  ({ response }) =>
    response.writeHead(status, { "content-type": "text/html" }).end("<html><body>Please log in</body></html>");
const frames =
  (...bytes: readonly Buffer[]): Answer =>
  ({ response }) =>
    response.writeHead(200, { "content-type": "application/vnd.amazon.eventstream" }).end(Buffer.concat(bytes));

const start = chunkFrame({ type: "ping" });
function changed(frame: Buffer, change: (frame: Buffer) => void): Buffer {
  const copy = Buffer.from(frame);
  change(copy);
  return copy;
}
/** With a right checksum of its head. */
const hugeFrame = changed(Buffer.alloc(12), (head) => {
  head.writeUInt32BE(2 ** 31, 0);
  head.writeUInt32BE(crc32(head.subarray(0, 8)), 8);
});

const noAnswer = /^a success status without an answer$|^a document in place of a stream$/;

const cases: readonly Case[] = [
  {
    name: "a region whose host does not exist",
    provider: () => ({ ...bedrock(""), base_url: "http://bedrock-runtime.us-nowhere-1.invalid" }),
    reason: "connect_failed",
    detail: /ENOTFOUND|EAI_AGAIN/,
  },
  {
    name: "a signature for another region",
    provider: bedrock,
    answer: exception(403, "InvalidSignatureException", "Credential should be scoped to a valid region."),
    reason: "credential_refused",
    detail: "wrong region",
  },
  {
    name: "a model that the region has not",
    provider: bedrock,
    answer: exception(400, "ValidationException", "The provided model identifier is invalid."),
    reason: "not_found",
    detail: "unknown model id in this region",
  },
  {
    name: "a model that Vertex' region has not",
    provider: vertex,
    answer: google(404, "NOT_FOUND", "Publisher Model was not found"),
    reason: "not_found",
  },
  {
    name: "an expired token of AWS",
    provider: bedrock,
    answer: exception(403, "ExpiredTokenException", `The security token ${canary}-session is expired`),
    reason: "credential_refused",
    detail: "expired credential",
  },
  {
    name: "an expired token of Google",
    provider: vertex,
    answer: google(401, "UNAUTHENTICATED", `Request had invalid credentials: ${canary}-google`),
    reason: "credential_refused",
  },
  {
    name: "an expired token of Entra",
    provider: foundry,
    answer: (exchange) =>
      exchange.json(401, { error: { code: "ExpiredAuthenticationToken", message: `${canary}-azure` } }),
    reason: "credential_refused",
    detail: "expired credential",
  },
  {
    name: "a key that OpenAI quotes",
    provider: openai,
    answer: (exchange) =>
      exchange.json(401, {
        error: { message: `Incorrect API key provided: ${canary}-openai`, code: "invalid_api_key" },
      }),
    reason: "credential_refused",
  },
  {
    name: "a key that Gemini quotes",
    provider: gemini,
    answer: (exchange) => {
      const details = [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID" }];
      const message = `API key not valid: ${canary}-gemini. Please pass a valid API key.`;
      exchange.json(400, { error: { code: 400, status: "INVALID_ARGUMENT", message, details } });
    },
    reason: "credential_refused",
  },
  {
    name: "a key that somebody else quotes",
    provider: lookAlike,
    answer: (exchange) => exchange.error(401, { message: `bad key ${canary}-other, bad header ${canary}-header` }),
    reason: "credential_refused",
  },
  {
    name: "an expired token of AWS at Anthropic's platform there",
    provider: (url) => ({
      ...platform(url),
      auth: "aws",
      region: "us-east-1",
      secret_access_key: `${canary}-aws`,
      access_key_id: "AK",
    }),
    answer: exception(403, "ExpiredTokenException", "The security token included in the request is expired"),
    reason: "credential_refused",
    detail: "expired credential",
  },
  {
    name: "a file without credentials for Anthropic's platform at Google",
    provider: (url) => ({ ...platform(url), auth: "google", credentials_file: `/${canary}/google.json` }),
    reason: "no_credential",
    detail: /^Google credentials: no usable credentials/,
  },
  {
    name: "credentials whose file is not there",
    provider: (url) => {
      const { access_token: _, ...rest } = vertex(url);
      return { ...rest, credentials_file: `/${canary}/google.json` };
    },
    reason: "no_credential",
    detail: /^Google credentials: no usable credentials/,
  },
  {
    name: "a missing deployment",
    provider: foundry,
    answer: (exchange) =>
      exchange.json(404, { error: { code: "DeploymentNotFound", message: "The API deployment does not exist." } }),
    reason: "not_found",
    detail: "unknown deployment",
  },
  {
    name: "a truncated frame",
    provider: bedrock,
    stream: true,
    answer: frames(start, start.subarray(0, 40)),
    reason: "server_error",
    detail: "truncated frame",
  },
  {
    name: "a wrong checksum",
    provider: bedrock,
    stream: true,
    answer: frames(changed(start, (frame) => frame.writeUInt8((frame[60] ?? 0) ^ 1, 60))),
    reason: "server_error",
    detail: "wrong checksum of a frame",
  },
  {
    name: "a frame that claims 2 GB",
    provider: bedrock,
    stream: true,
    answer: frames(start, hugeFrame, Buffer.alloc(64)),
    reason: "server_error",
    detail: "a frame that claims too much",
  },
  {
    name: "an exception before any content",
    provider: bedrock,
    stream: true,
    answer: frames(start, exceptionFrame("throttlingException", "Too many tokens")),
    reason: "rate_limited",
  },
  ...([bedrock, vertex, foundry, openai, gemini, lookAlike] as const).flatMap((provider): Case[] => {
    const type = String(provider("")["type"]);
    const name = `HTML of ${type}`;
    return [
      { name: `${name} in a 200`, provider, answer: page(200), reason: "server_error", detail: noAnswer },
      { name: `${name} in a 502`, provider, answer: page(502), reason: "server_error" },
      {
        name: `${name} as a stream`,
        provider,
        stream: true,
        answer: page(200),
        reason: "server_error",
        detail: noAnswer,
      },
    ];
  }),
];

const modelOf = (given: Case): string => `case-${cases.indexOf(given)}`;

const upstream = await useUpstream();
const bad = cases.map((given) => [`bad-${modelOf(given)}`, given.provider(upstream.url)] as const);
const routes = cases.map((given) => {
  const route = [
    { provider: `bad-${modelOf(given)}`, model: modelOf(given) },
    { provider: "one", model: "well" },
  ];
  return [modelOf(given), { routes: route }] as const;
});
const stack = await useStack({
  upstreams: [upstream],
  config: { providers: Object.fromEntries(bad), models: Object.fromEntries(routes), log: { level: "debug" } },
});
const pids = (): (readonly [string, number, boolean])[] =>
  stack.processes.map(({ name, pid, running }) => [name, pid, running]);
const before = pids();
const told: string[] = [];

interface Trace {
  readonly attempts: readonly { readonly provider: string; readonly reason: string; readonly detail?: string }[];
}

test.each(cases)("$name: the next target answers, and the trace says why", async (given) => {
  upstream.onRequest((exchange) => {
    const { path, stream } = exchange.request;
    if (path !== "/v1/messages") given.answer?.(exchange);
    else if (stream) exchange.stream("well");
    else exchange.message("well");
  });
  const answer = await post(stack, prompt(given.name, { model: modelOf(given), stream: given.stream === true }));
  expect(answer.status, answer.text).toBe(200);
  expect(answer.text).toContain("well");
  const trace = await get(stack, `/v1/requests/${answer.headers.get("x-sluice-request-id")}`);
  told.push(answer.text, JSON.stringify([...answer.headers]), trace.text);
  const { attempts } = trace.json as Trace;
  expect(attempts[0]).toMatchObject({ provider: `bad-${modelOf(given)}`, reason: given.reason });
  if (given.detail instanceof RegExp) expect(attempts[0]?.detail).toMatch(given.detail);
  else if (given.detail !== undefined) expect(attempts[0]?.detail).toBe(given.detail);
  expect(attempts.at(-1)).toMatchObject({ provider: "one", reason: "ok" });
  expect(pids()).toEqual(before);
});

describe("where there is no other target", () => {
  const refusing = cases.filter(({ reason }) => reason === "credential_refused" || reason === "no_credential");

  test.each(refusing)("$name is the gateway's fault, in words that tell nothing", async (given) => {
    upstream.onRequest((exchange) => given.answer?.(exchange));
    const only = { providerOptions: { gateway: { only: [`bad-${modelOf(given)}`] } } };
    const answer = await post(stack, prompt(`${given.name} alone`, { model: modelOf(given), ...only }));
    told.push(answer.text, JSON.stringify([...answer.headers]));
    expect(answer.status).toBe(502);
    expect(answer.json).toMatchObject({ error: { type: "api_error" } });
  });
});

test("no log, metric, trace or answer of all this tells a credential", async () => {
  const metrics = await Promise.all(stack.processes.map(({ opsUrl }) => fetch(`${opsUrl}/metrics`)));
  const pages = await Promise.all(metrics.map((page) => page.text()));
  expect(pages.join("\n")).toContain("credential_refused");
  const seen = [stack.log(), ...told, ...pages].join("\n");
  expect(told.length).toBeGreaterThan(cases.length);
  expect(seen).not.toContain(canary);
  for (const secret of [stack.key, "sim-1"]) expect(seen).not.toContain(secret);
});
