import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startStack, type Stack } from "../support/stack.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";
import { messageBody } from "../support/wire-samples.ts";

let upstream: Upstream;
let stack: Stack;

beforeAll(async () => {
  upstream = await startUpstream();
  stack = await startStack({ upstreams: [upstream], workers: 2 });
});
afterAll(async () => {
  await stack.stop();
  await upstream.close();
});
beforeEach(() => upstream.clear());

const model = "claude-opus-4-8";

function call(headers: Readonly<Record<string, string>> = {}, asked = model): Promise<Response> {
  return fetch(`${stack.url}/v1/messages`, {
    method: "POST",
    headers: { "x-api-key": stack.key, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: asked, max_tokens: 10, messages: [{ role: "user", content: "hi" }] }),
  });
}

interface Limits {
  readonly targets: readonly Record<string, unknown>[];
  readonly lanes: Record<string, Record<string, unknown>>;
}

async function target(named = model): Promise<Record<string, unknown> | undefined> {
  const answer = await fetch(`${stack.url}/v1/limits`, { headers: { "x-api-key": stack.key } });
  expect(answer.status).toBe(200);
  return ((await answer.json()) as Limits).targets.find((each) => each["model"] === named);
}

test("what a worker learns of a target is seen at the gateway within seconds", async () => {
  const reset = new Date(Date.now() + 40_000).toISOString().replace(/\.\d+Z/, "Z");
  upstream.next((exchange) =>
    exchange.json(200, messageBody("hello", model), {
      "anthropic-ratelimit-requests-limit": "50",
      "anthropic-ratelimit-requests-remaining": "49",
      "anthropic-ratelimit-requests-reset": reset,
    }),
  );
  expect((await call({ "x-sluice-priority": "background" })).status).toBe(200);
  await eventually(async () =>
    expect(await target()).toMatchObject({
      provider: "one",
      state: "ok",
      limits: { requests: { limit: 50, remaining: 49, reset: reset.replace("Z", ".000Z") } },
      concurrency: { limit: 8, interactive: 0, background: 0 },
    }),
  );
});

test("a target that answered 429 is shown as blocked, by the command line too", async () => {
  upstream.next((exchange) => exchange.error(429, { headers: { "retry-after": "40" } }));
  expect((await call({ "x-sluice-max-wait": "0" })).status).toBe(429);
  await eventually(async () => expect(await target()).toMatchObject({ state: "blocked" }));
  const until = Date.parse(String((await target())?.["blocked_until"]));
  expect(until - Date.now()).toBeGreaterThan(20_000);
  expect(until - Date.now()).toBeLessThanOrEqual(40_000);

  const env = { PATH: process.env["PATH"], SLUICE_URL: stack.url, SLUICE_KEY: stack.key };
  const shown = spawnSync(process.execPath, ["cli/main.ts", "limits"], { env, encoding: "utf8" });
  expect(shown.status).toBe(0);
  expect(shown.stdout).toMatch(/one +claude-opus-4-8 +blocked [1-3]\d\.\ds/);
  expect(shown.stdout).toMatch(/one +claude-opus-4-8 +\S+Z +rate limited \(429 rate_limit_error\)/);
  expect(shown.stdout).toMatch(/interactive +0 +0 +0 +-/);
});

test("a refused key is told with its reason: at the gateway, in the trace of a call that met it, and once in the log", async () => {
  const haiku = "claude-haiku-4-5";
  for (let i = 0; i < 5; i += 1) upstream.next((exchange) => exchange.error(401));
  expect((await call({}, haiku)).status).toBe(502);
  const unavailable = {
    state: "unavailable",
    reason: "credential_refused",
    last_error: { status: 401, error: "authentication_error" },
  };
  await eventually(async () => expect(await target(haiku)).toMatchObject(unavailable));

  // Once every worker has heard of it.
  const note = /^plan: one claude-haiku-4-5 out until \S+Z: credential_refused, 401 authentication_error$/;
  const { attempts, notes } = await eventually(async () => {
    const next = await call({}, haiku);
    expect(next.status).toBe(502);
    const path = `/v1/requests/${next.headers.get("x-sluice-request-id")}`;
    const trace = await fetch(`${stack.url}${path}`, { headers: { "x-api-key": stack.key } });
    const facts = (await trace.json()) as { attempts: unknown[]; notes: string[] };
    expect(facts.attempts).toEqual([]);
    return facts;
  });
  expect({ attempts, notes }).toEqual({ attempts: [], notes: [expect.stringMatching(note)] });

  await eventually(() => expect(stack.log()).toContain("provider not usable"));
  for (const { lines } of stack.processes) {
    const told = lines.filter((line) => line.includes("provider not usable"));
    expect(told.length).toBeLessThan(2);
    for (const line of told)
      expect(JSON.parse(line)).toMatchObject({
        level: "warn",
        provider: "one",
        model: haiku,
        reason: "credential_refused",
        status: 401,
        until: expect.stringMatching(/^\d{4}-\d\d-\d\dT\S+Z$/) as string,
      });
  }
});
