import { describe, expect, test } from "vitest";
import { metrics } from "#shared/telemetry/metrics.ts";
import { useGatewayBed } from "../support/use-gateway-bed.ts";
import { messageBody } from "../support/wire-samples.ts";
import { answerWhole, ask, wholeOutcome } from "../support/gateway-bed.ts";

// What can be learned afterwards of calls that the gateway itself refused.

const bed = await useGatewayBed({
  config: {
    server: { max_body_bytes: 100_000, body_timeout: "1s" },
    keys: [
      { name: "plain", key: "sk-plain" },
      { name: "other", key: "sk-other" },
      { name: "opus-only", key: "sk-opus-only", models: ["claude-opus-*"] },
      { name: "slow", key: "sk-slow", limits: { rpm: 1 } },
      { name: "single", key: "sk-single", limits: { concurrent: 1 } },
      { name: "poor", key: "sk-poor", budget: { usd: 0.000001, per: "month" } },
      { name: "flooding", key: "sk-flooding" },
      { name: "expired", key: "sk-expired-1", expires_at: "2020-01-01T00:00:00Z" },
      { name: "disabled", key: "sk-disabled-1", disabled: true },
    ],
  },
});

const opus = "claude-opus-4-8";

interface Refused {
  readonly status: number;
  readonly requestId: string;
  readonly error: { readonly type: string; readonly message: string };
}

async function refused(body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Refused> {
  const response = await bed.post("/v1/messages", body, { "x-api-key": "sk-plain", ...headers });
  const json = (await response.json()) as { readonly request_id: string; readonly error: Refused["error"] };
  expect(json.request_id).toBe(response.headers.get("request-id"));
  return { status: response.status, requestId: json.request_id, error: json.error };
}

async function traceOf(id: string, key = "sk-plain"): Promise<{ readonly status: number; readonly json: object }> {
  const response = await fetch(`${bed.url}/v1/requests/${id}`, { headers: { "x-api-key": key } });
  return { status: response.status, json: (await response.json()) as object };
}

interface Case {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** What the trace says beside what the answer said. */
  readonly known: { readonly code: string; readonly stream: boolean | null; readonly model: string | null };
}

const unread = { stream: null, model: null };

describe("the trace of a refused call says what the answer said, and what was known by then", () => {
  test.each<[number, string, Case]>([
    [400, "bad JSON", { body: "{", known: { code: "invalid_request", ...unread } }],
    [400, "a missing member", { body: { model: opus, messages: [] }, known: { code: "invalid_request", ...unread } }],
    [400, "an encoding", { headers: { "content-encoding": "gzip" }, known: { code: "invalid_request", ...unread } }],
    [
      400,
      "a header that cannot be read",
      { headers: { "x-sluice-max-wait": "soon" }, known: { code: "invalid_request", ...unread } },
    ],
    [
      403,
      "a model that the key may not use",
      {
        body: ask({ model: "claude-haiku-4-5", stream: true }),
        headers: { "x-api-key": "sk-opus-only" },
        known: { code: "forbidden", stream: true, model: "claude-haiku-4-5" },
      },
    ],
    [
      404,
      "an unknown model",
      { body: ask({ model: "gpt-9" }), known: { code: "not_found", stream: false, model: "gpt-9" } },
    ],
    [
      413,
      "a body too large",
      { body: ask({ system: "x".repeat(200_000) }), known: { code: "request_too_large", ...unread } },
    ],
    [
      400,
      "a wish that cannot be met",
      {
        body: ask({ model: "opus", stream: true }),
        headers: { prefer: "respond-async" },
        known: { code: "invalid_request", stream: true, model: opus },
      },
    ],
  ])("%i: %s", async (status, _name, { body = ask(), headers = {}, known }) => {
    const answer = await refused(body, headers);
    expect(answer.status).toBe(status);
    const trace = await traceOf(answer.requestId, headers["x-api-key"]);
    expect(trace.status).toBe(200);
    expect(trace.json).toMatchObject({
      type: "request",
      id: answer.requestId,
      request_id: answer.requestId,
      operation: "messages",
      status,
      error: answer.error,
      provider: null,
      attempts: [],
      waits: [],
      ...known,
    });
  });

  test("429: the key's calls a minute, and its calls at a time", async () => {
    const slow = { "x-api-key": "sk-slow" };
    expect((await bed.post("/v1/messages", ask(), slow)).status).toBe(200);
    const gate = Promise.withResolvers<void>();
    bed.script.invoke = async (call, context) => {
      await gate.promise;
      return answerWhole(call, context);
    };
    const single = { "x-api-key": "sk-single" };
    const running = bed.post("/v1/messages", ask(), single);
    await expect.poll(() => bed.worker?.calls).toBe(1);
    for (const headers of [slow, single]) {
      const answer = await refused(ask(), headers);
      expect(answer.status).toBe(429);
      const { json } = await traceOf(answer.requestId, headers["x-api-key"]);
      expect(json).toMatchObject({ status: 429, code: "rate_limited", error: answer.error, ...unread });
    }
    gate.resolve();
    expect((await running).status).toBe(200);
    bed.script.invoke = answerWhole;
  });

  test("402: a budget that is spent", async () => {
    const poor = { "x-api-key": "sk-poor" };
    const usage = { input_tokens: 9, output_tokens: 9, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
    bed.script.invoke = () => Promise.resolve(wholeOutcome(messageBody("dear"), { usage }));
    expect((await bed.post("/v1/messages", ask(), poor)).status).toBe(200);
    bed.script.invoke = answerWhole;
    await expect.poll(async () => (await bed.post("/v1/messages", ask(), poor)).status).toBe(402);
    const answer = await refused(ask({ stream: true }), poor);
    const { json } = await traceOf(answer.requestId, "sk-poor");
    const expected = { status: 402, code: "spent", error: answer.error, stream: true, model: opus, attempts: [] };
    expect(json).toMatchObject(expected);
  });

  test("a count is one too", async () => {
    const response = await bed.post("/v1/messages/count_tokens", { messages: [] }, { "x-api-key": "sk-plain" });
    const id = response.headers.get("request-id") ?? "";
    expect((await traceOf(id)).json).toMatchObject({ operation: "count_tokens", status: 400 });
  });
});

test("another key sees nothing of it", async () => {
  const { requestId } = await refused("{");
  expect((await traceOf(requestId)).status).toBe(200);
  expect((await traceOf(requestId, "sk-other")).status).toBe(404);
});

describe("a call that no key stands behind", () => {
  const cases: readonly [string, Readonly<Record<string, string>>, object][] = [
    ["missing", { "x-api-key": "" }, {}],
    ["unknown", { "x-api-key": "sk-unknown-1" }, { header: "x-api-key" }],
    ["unknown", { "x-api-key": "", authorization: "Bearer sk-unknown-2" }, { header: "authorization" }],
    ["expired", { "x-api-key": "sk-expired-1" }, { keyId: "key:expired", header: "x-api-key" }],
    ["disabled", { "x-api-key": "sk-disabled-1" }, { keyId: "key:disabled", header: "x-api-key" }],
  ];
  const isRefusal = (reason: string) => (line: string) =>
    line.includes('"credential refused"') && line.includes(`"reason":"${reason}"`);
  const counted = async (reason: string): Promise<number> => {
    const { values } = await metrics.credentialsRefusedTotal.get();
    return values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
  };

  test.each(cases)(
    "%s: has a trace for whoever has its id and a key, a line and a count",
    async (reason, headers, known) => {
      const before = await counted(reason);
      const answer = await refused(ask(), headers);
      expect(answer.status).toBe(401);
      const facts = { operation: "messages", status: 401, code: "unauthenticated", error: answer.error, ...unread };
      for (const key of ["sk-plain", "sk-other"])
        expect(await traceOf(answer.requestId, key)).toMatchObject({ status: 200, json: facts });
      expect(await counted(reason)).toBe(before + 1);
      const lines = bed.lines.filter(isRefusal(reason)).map((line) => JSON.parse(line) as object);
      // The second of a reason waits for its line.
      if ("keyId" in known || reason === "missing")
        expect(lines).toEqual([expect.objectContaining({ ...known, count: 1 })]);
      else expect(lines).toHaveLength(1);
    },
  );

  test("of a credential nothing is told, not even how it begins", async () => {
    for (const [, headers] of cases) await refused(ask(), headers);
    expect(bed.lines.join("")).not.toMatch(/sk-(?:unknown|expired|disabled)/);
  });

  test("what was no call is counted and logged only, on a path that is no path too", async () => {
    const before = await counted("unknown");
    const headers = { "x-api-key": "sk-unknown-3" };
    const models = await fetch(`${bed.url}/v1/models`, { headers });
    const nothing = await fetch(`${bed.url}/%zz`, { method: "POST", headers });
    expect([models.status, nothing.status]).toEqual([401, 401]);
    expect(await counted("unknown")).toBe(before + 2);
    expect((await traceOf(models.headers.get("request-id") ?? "")).status).toBe(404);
  });

  test("of a flood of them a minute's worth is kept, and keys' traces as before", async () => {
    const flood: Refused[] = [];
    for (let call = 0; call < 100; call++) flood.push(await refused("{", { "x-api-key": "sk-unknown-4" }));
    const last = await refused("{");
    expect((await traceOf(last.requestId)).status).toBe(200);
    expect(await bed.traces.get("nobody", flood[99]?.requestId ?? "")).toBeUndefined();
    expect(bed.lines.filter(isRefusal("unknown")).length).toBeLessThan(10);
  });
});

describe("the log line of a refused call says which member or header was wrong, in names of ours", () => {
  const lineOf = (id: string): object =>
    JSON.parse(bed.lines.find((line) => line.includes(id)) ?? "{}") as Record<string, unknown>;
  test.each<[string, unknown, Readonly<Record<string, string>>]>([
    ["max_tokens", { model: opus, messages: [] }, {}],
    ["messages", { model: opus, max_tokens: 1, messages: "secret" }, {}],
    ["fallbacks.1.model", ask({ fallbacks: [{ model: opus }, { model: 7, secret: 1 }] }), {}],
    ["providerOptions.gateway.only.0", ask({ providerOptions: { gateway: { only: [["secret"]] } } }), {}],
    ["model", '{"model":"a","mOdel":"secret","max_tokens":1,"messages":[]}', {}],
    ["body", '{"secret', {}],
    ["body", "", {}],
    ["x-sluice-max-wait", ask(), { "x-sluice-max-wait": "secret" }],
    ["x-sluice-priority", ask(), { "x-sluice-priority": "secret" }],
    ["x-sluice-on-disconnect", ask(), { "x-sluice-on-disconnect": "secret" }],
    ["content-encoding", ask(), { "content-encoding": "secret" }],
    ["idempotency-key", ask(), { "idempotency-key": "secret".repeat(100) }],
    ["prefer", ask({ stream: true }), { prefer: "respond-async" }],
  ])("%s", async (where, body, headers) => {
    const { status, requestId } = await refused(body, headers);
    expect(status).toBe(400);
    expect(lineOf(requestId)).toMatchObject({ status: 400, code: "invalid_request", where });
    expect(bed.lines.join("")).not.toContain("secret");
  });
});

test("words of the prompt reach neither trace nor log", async () => {
  const { requestId } = await refused('{"model":"claude-opus-4-8","messages":["a very secret prompt');
  expect(JSON.stringify((await traceOf(requestId)).json)).not.toContain("secret");
  expect(bed.lines.join("")).not.toContain("secret");
});

test("of a key's flood a minute's worth is kept, and other keys are kept as before", async () => {
  const flood: Refused[] = [];
  for (let call = 0; call < 100; call++) flood.push(await refused("{", { "x-api-key": "sk-flooding" }));
  const last = await refused("{");
  expect((await traceOf(last.requestId)).status).toBe(200);
  const isKept = async (at: number): Promise<boolean> =>
    (await bed.traces.get("key:flooding", flood[at]?.requestId ?? "")) !== undefined;
  // One a second is given back meanwhile: the hundredth would be kept after forty.
  expect([await isKept(0), await isKept(59), await isKept(99)]).toEqual([true, true, false]);
});
