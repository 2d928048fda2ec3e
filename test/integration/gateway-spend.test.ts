import { beforeEach, describe, expect, test } from "vitest";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { Usage } from "#shared/messages/usage.ts";
import { eventually } from "../support/eventually.ts";
import { answerWhole, ask, beginStream, wholeOutcome } from "../support/gateway-bed.ts";
import { useGatewayBed } from "../support/use-gateway-bed.ts";
import { messageBody } from "../support/wire-samples.ts";

// What calls cost, what keys used, and their budgets, at a gateway before a worker that does what the test says.

const usage: Usage = {
  input_tokens: 1000,
  output_tokens: 100,
  cache_creation_input_tokens: 1000,
  cache_creation_1h: 400,
  cache_read_input_tokens: 10_000,
};
/** 1000 × 5 + 100 × 25 + 600 × 6.25 + 400 × 10 + 10,000 × 0.5 millionths of a dollar. */
const usageUsd = 0.02025;

const keys = [
  "plain",
  "admin",
  "poor",
  "held",
  "left",
  "streamed",
  "joined",
  "unpriced",
  "month",
  "cached",
  "batched",
] as const;
const budgets: Readonly<Record<string, object>> = {
  poor: { usd: 0.03, per: "day" },
  held: { usd: 0.001, per: "day" },
  left: { usd: 1, per: "day" },
  joined: { usd: 1, per: "day" },
  unpriced: { usd: 1, per: "day" },
  month: { usd: 7, per: "month" },
  batched: { usd: 0.02, per: "day" },
};

const bed = await useGatewayBed({
  config: {
    models: {
      "claude-opus-4-8": { routes: ["one"] },
      house: { routes: ["one"], price: { input: 100, output: 200 } },
      stranger: { routes: ["one"] },
    },
    queue: { linger: "300ms" },
    keys: keys.map((name) => ({
      name,
      key: `sk-${name}`,
      ...(name === "admin" ? { admin: true } : {}),
      ...(budgets[name] ? { budget: budgets[name] } : {}),
    })),
  },
});
beforeEach(() => {
  bed.script.invoke = () => Promise.resolve(used(usage));
});

function used(given: Usage | undefined, more: Partial<Outcome> = {}): Outcome {
  return wholeOutcome(messageBody("hello"), { ...(given ? { usage: given } : {}), ...more });
}

type Key = (typeof keys)[number];

function post(key: Key, body: object = ask(), headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return bed.post("/v1/messages", body, { "x-api-key": `sk-${key}`, ...headers });
}

interface UsageAnswer {
  readonly data: readonly Readonly<Record<string, unknown>>[];
  readonly total: Readonly<Record<string, unknown>>;
  readonly budget: Readonly<Record<string, number>> | null;
}

async function get(key: Key, path: string): Promise<{ readonly status: number; readonly json: UsageAnswer }> {
  const response = await fetch(`${bed.url}${path}`, { headers: { "x-api-key": `sk-${key}` } });
  return { status: response.status, json: (await response.json()) as UsageAnswer };
}

async function spentBy(key: Key): Promise<Readonly<Record<string, number>>> {
  return (await get(key, "/v1/usage")).json.budget ?? {};
}

async function traceOf(key: Key, response: Response): Promise<Readonly<Record<string, unknown>>> {
  const id = response.headers.get("x-sluice-request-id") ?? "";
  return (await get(key, `/v1/requests/${id}`)).json as unknown as Readonly<Record<string, unknown>>;
}

describe("the price of a call", () => {
  test("is a header of its answer, and split in its trace", async () => {
    const response = await post("plain");
    expect(response.headers.get("x-sluice-cost-usd")).toBe(String(usageUsd));
    const id = response.headers.get("x-sluice-request-id") ?? "none";
    const line = JSON.parse(bed.lines.find((one) => one.includes(id)) ?? "{}") as object;
    expect(line).toMatchObject({ msg: "call", inputTokens: 1000, outputTokens: 100, costUsd: usageUsd });
    expect((await traceOf("plain", response))["cost"]).toEqual({
      usd: usageUsd,
      input_usd: 0.005,
      output_usd: 0.0025,
      cache_creation_usd: 0.00775,
      cache_read_usd: 0.005,
      server_tools_usd: 0,
    });
  });

  test("that is not known says so", async () => {
    bed.script.invoke = () => Promise.resolve(used(usage, { model: "stranger" }));
    const response = await post("plain", ask({ model: "stranger" }));
    expect(response.headers.get("x-sluice-cost-usd")).toBe("unknown");
    expect((await traceOf("plain", response))["cost"]).toEqual({
      usd: "unknown",
      why: "no price of stranger at one is known",
    });
  });

  test("is that of the model that served, at the operator's own price if there is one", async () => {
    bed.script.invoke = () => Promise.resolve(used(usage, { model: "house" }));
    const response = await post("plain");
    expect(Number(response.headers.get("x-sluice-cost-usd"))).toBeCloseTo(12_000 * 1e-4 + 100 * 2e-4);
  });

  test("is in the trace only where the answer is a stream", async () => {
    bed.script.stream = (_call, sink) => {
      beginStream(sink);
      sink.end({ ...used(usage), end: "complete" });
      return Promise.resolve();
    };
    const response = await post("plain", ask({ stream: true }));
    await response.text();
    expect(response.headers.get("x-sluice-cost-usd")).toBeNull();
    expect((await traceOf("plain", response))["cost"]).toMatchObject({ usd: usageUsd });
  });

  test("of an error is none", async () => {
    bed.script.invoke = () => Promise.resolve(used(undefined, { status: 400, code: "upstream" }));
    const response = await post("plain");
    expect(response.headers.get("x-sluice-cost-usd")).toBeNull();
    expect((await traceOf("plain", response))["cost"]).toBeNull();
  });
});

describe("GET /v1/usage", () => {
  test("sums a key's own calls, an administrator's key everybody's", async () => {
    bed.script.invoke = (call) =>
      Promise.resolve(
        call.head.model === "stranger"
          ? used(usage, { model: "stranger", provider: "one" })
          : used({ ...usage, server_tool_use: { web_search_requests: 2 } }),
      );
    await post("streamed");
    await post("streamed");
    await post("streamed", ask({ model: "stranger" }));
    bed.script.invoke = () => Promise.resolve(used(undefined, { status: 400, code: "upstream" }));
    await post("streamed");
    const path = "/v1/usage?group_by=key,model,provider,day";
    const today = new Date().toISOString().slice(0, 10);
    const opus = {
      key: "key:streamed",
      model: "claude-opus-4-8",
      provider: "one",
      day: today,
      calls: 3,
      failed_calls: 1,
      input_tokens: 2000,
      output_tokens: 200,
      cache_creation_input_tokens: 2000,
      cache_creation: { ephemeral_5m_input_tokens: 1200, ephemeral_1h_input_tokens: 800 },
      cache_read_input_tokens: 20_000,
      server_tool_use: { web_search_requests: 4 },
      cost_usd: 2 * usageUsd + 0.04,
      calls_of_unknown_cost: 0,
    };
    await eventually(async () => {
      const { json } = await get("streamed", path);
      expect(json.data.find(({ model }) => model === "claude-opus-4-8")).toEqual(opus);
      expect(json.data.find(({ model }) => model === "stranger")).toMatchObject({
        calls: 1,
        cost_usd: 0,
        calls_of_unknown_cost: 1,
        input_tokens: 1000,
      });
      expect(json.data).toHaveLength(2);
      expect(json.total).toMatchObject({ calls: 4, calls_of_unknown_cost: 1 });
    });
    const { json } = await get("admin", "/v1/usage?group_by=key");
    expect(json.data.find(({ key }) => key === "key:streamed")).toMatchObject({ calls: 4 });
    expect(json.data.length).toBeGreaterThan(1);
    expect((await get("cached", path)).json).toMatchObject({ data: [], total: { calls: 0 }, budget: null });
    expect((await get("streamed", "/v1/usage?from=2020-01-01&to=2020-01-02")).status).toBe(400);
  });

  test.each([
    ["group_by=keys", "group_by"],
    ["from=yesterday", "from"],
    ["to=2026-02-30", "to"],
    ["from=2026-11-20&to=2026-11-19", "from"],
  ])("refuses %s", async (query, member) => {
    const { status, json } = await get("plain", `/v1/usage?${query}`);
    expect(status).toBe(400);
    expect(JSON.stringify(json)).toContain(`${member}: Input should`);
  });

  test("counts of tokens are free and not counted", async () => {
    bed.script.invoke = answerWhole;
    const before = (await get("cached", "/v1/usage")).json.total["calls"];
    const body = { model: "claude-opus-4-8", messages: [] };
    const counted = await bed.post("/v1/messages/count_tokens", body, { "x-api-key": "sk-cached" });
    expect(counted.status).toBe(200);
    bed.script.invoke = () => Promise.resolve(used(usage));
    await post("cached");
    await eventually(async () => {
      expect((await get("cached", "/v1/usage")).json.total["calls"]).toBe(Number(before) + 1);
    });
  });
});

describe("a budget", () => {
  test("is held before a call and settled after it, and spent it is 402", async () => {
    expect((await post("poor")).status).toBe(200);
    await eventually(async () => expect(await spentBy("poor")).toMatchObject({ spent_usd: usageUsd, held_usd: 0 }));
    expect((await post("poor")).status).toBe(200);
    await eventually(async () => expect(await spentBy("poor")).toMatchObject({ spent_usd: 2 * usageUsd }));
    const refused = await post("poor");
    expect(refused.status).toBe(402);
    expect(refused.headers.get("x-should-retry")).toBe("false");
    expect(await refused.json()).toMatchObject({ error: { type: "billing_error" } });
    expect((await post("plain")).status).toBe(200);
  });

  test("that calls in flight hold lets no more in until they end", async () => {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    bed.script.invoke = () => promise;
    const first = post("held", ask({ max_tokens: 1000 }));
    await eventually(async () => expect((await spentBy("held"))["held_usd"]).toBeGreaterThan(0.025));
    const refused = await post("held");
    expect(refused.status).toBe(402);
    expect(refused.headers.get("x-should-retry")).toBe("true");
    resolve(
      used({ ...usage, input_tokens: 1, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0 }),
    );
    expect((await first).status).toBe(200);
    await eventually(async () => expect(await spentBy("held")).toMatchObject({ spent_usd: 0.000005, held_usd: 0 }));
    expect((await post("held")).status).toBe(200);
  });

  test("pays for an answer whose caller has left", async () => {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    bed.script.invoke = () => promise;
    const leaving = new AbortController();
    const asked = fetch(`${bed.url}/v1/messages`, {
      method: "POST",
      headers: { "x-api-key": "sk-left" },
      body: JSON.stringify(ask()),
      signal: leaving.signal,
    }).catch(() => undefined);
    await eventually(async () => expect((await spentBy("left"))["held_usd"]).toBeGreaterThan(0));
    leaving.abort();
    await asked;
    resolve(used(usage));
    await eventually(async () => expect(await spentBy("left")).toMatchObject({ spent_usd: usageUsd, held_usd: 0 }));
    await eventually(async () => expect((await get("left", "/v1/usage")).json.total).toMatchObject({ calls: 1 }));
  });

  test("pays once for an answer that two calls get", async () => {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    bed.script.invoke = () => promise;
    const headers = { "idempotency-key": "one" };
    const [one, two] = [post("joined", ask(), headers), post("joined", ask(), headers)];
    await eventually(async () => expect((await spentBy("joined"))["held_usd"]).toBeGreaterThan(0.001));
    resolve(used(usage));
    const costs = [await one, await two].map((response) => response.headers.get("x-sluice-cost-usd"));
    expect(new Set(costs)).toEqual(new Set(["0", String(usageUsd)]));
    await eventually(async () => expect(await spentBy("joined")).toMatchObject({ spent_usd: usageUsd, held_usd: 0 }));
  });

  test("cannot be kept for a model of no known price", async () => {
    const refused = await post("unpriced", ask({ model: "stranger" }));
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain("models.stranger.price");
    const fallback = ask({ providerOptions: { gateway: { models: ["stranger"] } } });
    expect((await post("unpriced", fallback)).status).toBe(403);
    expect(await spentBy("unpriced")).toMatchObject({ spent_usd: 0, held_usd: 0 });
  });

  describe("and batches", () => {
    const create = (key: Key, params: object = ask()): Promise<Response> =>
      bed.post("/v1/messages/batches", { requests: [{ custom_id: "a", params }] }, { "x-api-key": `sk-${key}` });

    test("are refused once it is spent, and not before", async () => {
      expect((await create("batched")).status).toBe(200);
      expect(await spentBy("batched")).toMatchObject({ spent_usd: 0, held_usd: 0 });
      await post("batched");
      await eventually(async () => expect(await spentBy("batched")).toMatchObject({ spent_usd: usageUsd }));
      const refused = await create("batched");
      expect(refused.status).toBe(402);
      expect(refused.headers.get("x-should-retry")).toBe("false");
      expect(await refused.json()).toMatchObject({ error: { type: "billing_error" } });
      expect((await create("plain")).status).toBe(200);
    });

    test("end items at once whose model is of no known price", async () => {
      const made = (await (await create("unpriced", ask({ model: "stranger" }))).json()) as { readonly id: string };
      const results = await fetch(`${bed.url}/v1/messages/batches/${made.id}/results`, {
        headers: { "x-api-key": "sk-unpriced" },
      });
      const line = JSON.parse(await results.text()) as { readonly result: object };
      expect(line.result).toMatchObject({ type: "errored", error: { error: { type: "permission_error" } } });
      expect(JSON.stringify(line)).toContain("no price of the model");
    });
  });

  test("gives back what it held for a call that was refused", async () => {
    const refused = await post("month", ask(), { "idempotency-key": "x".repeat(300) });
    expect(refused.status).toBe(400);
    const first = new Date();
    const next = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 1)).toISOString();
    await eventually(async () => {
      expect(await spentBy("month")).toEqual({ usd: 7, per: "month", spent_usd: 0, held_usd: 0, next_at: next });
    });
    expect(bed.health()).toMatchObject({ openCalls: 0 });
  });
});

describe("providerOptions.gateway.caching", () => {
  const options = { providerOptions: { gateway: { caching: "auto" } } };
  const bodyOf = (at = -1): string => {
    const body = bed.calls.at(at)?.body;
    return body && "bytes" in body ? body.bytes.toString() : "";
  };

  test("auto sets the breakpoint that is missing, and the trace says where", async () => {
    const response = await post("cached", ask({ system: "Be kind.", ...options }));
    expect(JSON.parse(bodyOf())).toHaveProperty("system", [
      { type: "text", text: "Be kind.", cache_control: { type: "ephemeral" } },
    ]);
    expect((await traceOf("cached", response))["notes"]).toContain("caching: system");
    const { splices } = bed.calls.at(-1)!.head;
    const { start, end } = splices.providerOptions!;
    expect(bodyOf().slice(start, end)).toContain('"caching":"auto"');
  });

  test("auto leaves a body with marks alone, as does every other word", async () => {
    const marked = ask({
      system: [{ type: "text", text: "a", cache_control: { type: "ephemeral", ttl: "1h" } }],
      ...options,
    });
    const response = await post("cached", marked);
    expect(bodyOf()).toBe(JSON.stringify(marked));
    expect((await traceOf("cached", response))["notes"]).toContain("caching: the caller's own marks");
    const other = ask({ system: "a", providerOptions: { gateway: { caching: "never" } } });
    await post("cached", other);
    expect(bodyOf()).toBe(JSON.stringify(other));
  });
});

test("the list of models shows their limits and capabilities", async () => {
  const { json } = await get("plain", "/v1/models");
  expect(json.data[0]).toMatchObject({
    id: "claude-opus-4-8",
    max_input_tokens: 1_000_000,
    max_tokens: 128_000,
    capabilities: { thinking: { supported: true, types: { adaptive: { supported: true } } } },
  });
});
