import { describe, expect, test } from "vitest";
import type { WorkerCall } from "#shared/messages/call.ts";
import { eventually } from "../support/eventually.ts";
import { wholeAnswer } from "../support/scripted-upstream.ts";
import { counted, failing, invoke, useWorkerBed } from "../support/use-worker-bed.ts";
import { messageBody } from "../support/wire-samples.ts";
import { errorOf, makeCall, modelName, reasonsOf } from "../support/worker-harness.ts";

const { a, b, start } = await useWorkerBed();

describe("a whole answer", () => {
  test("the caller's bytes reach the provider as they are, and the provider's bytes the caller", async () => {
    await using harness = await start();
    const bytes = Buffer.from(
      `{ "messages" : [{"role":"user","content":"é\\u00e9 1.0"}],\n "max_tokens": 5, "model":"${modelName}" , "new_member":[1e2] }`,
    );
    const answer = JSON.stringify(messageBody("hi"), undefined, 1);
    a.next(
      wholeAnswer(200, answer, { "request-id": "req_1", "x-internal": "no", "anthropic-ratelimit-tokens-limit": "9" }),
    );
    const call = makeCall({
      bytes,
      head: {
        headers: {
          "anthropic-version": "2026-10-21",
          "anthropic-beta": "x-1,y-2",
          accept: "application/json",
          "user-agent": "test/1",
        },
      },
    });
    const outcome = await invoke(harness, call);
    const [request] = a.requests;
    expect(request?.body).toEqual(bytes);
    expect(request?.path).toBe("/v1/messages");
    expect(request?.headers).toMatchObject({
      "x-api-key": "provider-key",
      "anthropic-version": "2026-10-21",
      "anthropic-beta": "x-1,y-2",
      "user-agent": "test/1",
      "accept-encoding": "identity",
      "content-length": String(bytes.length),
    });
    expect(outcome.body.toString()).toBe(answer);
    expect(outcome.headers).toEqual({
      "content-type": "application/json",
      "request-id": "req_1",
      "anthropic-ratelimit-tokens-limit": "9",
    });
    expect(outcome).toMatchObject({ status: 200, code: "ok", provider: "a", model: modelName });
    expect(outcome.usage).toMatchObject({ input_tokens: 12, output_tokens: 7 });
    expect(outcome.attempts).toMatchObject([{ provider: "a", reason: "ok", status: 200, upstreamRequestId: "req_1" }]);
  });

  test("only the model's bytes change where the provider calls it otherwise, and routing wishes are cut out", async () => {
    await using harness = await start({
      providers: { a: { baseUrl: `${a.url}/prefix/v1`, models: { [modelName]: "up/1" } } },
    });
    const bytes = Buffer.from(
      `{"model": "${modelName}", "providerOptions": {"gateway":{"only":["a"]}}, "max_tokens":5, "messages":[]}`,
    );
    await invoke(harness, makeCall({ bytes }));
    expect(a.requests[0]?.path).toBe("/prefix/v1/messages");
    expect(a.requests[0]?.body.toString().replaceAll(" ", "")).toBe('{"model":"up/1","max_tokens":5,"messages":[]}');
  });

  test("a large body with a spliced member arrives whole, with its length", async () => {
    await using harness = await start({ providers: { a: { baseUrl: a.url, models: { [modelName]: "up" } } } });
    const content = "x".repeat(3_000_000);
    const bytes = Buffer.from(
      JSON.stringify({ model: modelName, max_tokens: 1, messages: [{ role: "user", content }] }),
    );
    await invoke(harness, makeCall({ bytes }));
    const expected = bytes.toString().replace(modelName, "up");
    expect(a.requests[0]?.headers["transfer-encoding"]).toBeUndefined();
    expect(a.requests[0]?.headers["content-length"]).toBe(String(expected.length));
    expect(a.requests[0]?.body.equals(Buffer.from(expected))).toBe(true);
  });

  test("an answer cut into single bytes is put together", async () => {
    await using harness = await start();
    const body = JSON.stringify(messageBody("ü".repeat(20)));
    const [bytes] = wholeAnswer(200, body) as readonly [Buffer];
    a.next([...bytes].map((byte) => Buffer.from([byte])));
    expect((await invoke(harness)).body.toString()).toBe(body);
  });

  test("an upstream without a request id gets the call's", async () => {
    await using harness = await start();
    a.next(wholeAnswer(200, JSON.stringify(messageBody("x"))));
    const call = makeCall();
    expect((await invoke(harness, call)).headers["request-id"]).toBe(call.head.id);
  });

  test("a connection is used again", async () => {
    await using harness = await start();
    const before = a.connections;
    for (let i = 0; i < 5; i += 1) await invoke(harness);
    expect(a.connections - before).toBe(1);
  });

  test("tokens are counted by kind", async () => {
    await using harness = await start();
    await invoke(harness);
    expect(await counted(harness, "tokens_total")).toContain('provider="a",model="claude-opus-4-8",kind="output"} 7');
  });

  test("a body that is gone from the store is said to be", async () => {
    await using harness = await start();
    const call = makeCall();
    const key = await harness.bodies.put(call.head.id, Buffer.from("{}"), 1000);
    harness.bodies.drop(key);
    const outcome = await eventually(async () => {
      const given = await invoke(harness, { ...call, body: { key } });
      expect(given.code).toBe("internal");
      return given;
    });
    expect(errorOf(outcome).message).toMatch(/no longer stored/);
  });

  test("a body by key is read from the store", async () => {
    await using harness = await start();
    const call = makeCall();
    const bytes = (call.body as { bytes: Buffer }).bytes;
    const key = await harness.bodies.put(call.head.id, bytes, 10_000);
    await invoke(harness, { ...call, body: { key } });
    expect(a.requests[0]?.body).toEqual(bytes);
  });
});

describe("beta flags", () => {
  const refusal = failing(400, {
    message: "Unexpected value(s) `x-2026-01-01` for the `anthropic-beta` header. Please consult our documentation.",
  });
  const withBetas = (): WorkerCall =>
    makeCall({ head: { headers: { "anthropic-version": "2023-06-01", "anthropic-beta": "good-1,x-2026-01-01" } } });

  test("what a provider refuses is left out once more, and from then on", async () => {
    await using harness = await start();
    a.next(refusal);
    const outcome = await invoke(harness, withBetas());
    expect(reasonsOf(outcome)).toEqual(["beta_refused", "ok"]);
    await invoke(harness, withBetas());
    expect(a.requests.map(({ headers }) => headers["anthropic-beta"])).toEqual([
      "good-1,x-2026-01-01",
      "good-1",
      "good-1",
    ]);
  });

  test("a second refusal goes back as it came", async () => {
    await using harness = await start();
    a.always(refusal);
    const outcome = await invoke(harness, withBetas());
    expect(outcome.status).toBe(400);
    expect(a.requests).toHaveLength(2);
  });
});

describe("counting", () => {
  const count = (): WorkerCall =>
    makeCall({ operation: "count_tokens", body: { model: modelName, messages: [{ role: "user", content: "foo" }] } });

  test("the provider's counter answers", async () => {
    await using harness = await start();
    a.next(wholeAnswer(200, '{"input_tokens":14}'));
    const outcome = await invoke(harness, count());
    expect(a.requests[0]?.path).toBe("/v1/messages/count_tokens");
    expect(outcome.body.toString()).toBe('{"input_tokens":14}');
    expect(outcome.headers["x-sluice-estimated"]).toBeUndefined();
  });

  test("a provider without a counter is passed over, and then known", async () => {
    await using harness = await start();
    a.always(wholeAnswer(404, "404 page not found", { "content-type": "text/plain" }));
    b.always(wholeAnswer(200, '{"input_tokens":14}'));
    expect((await invoke(harness, count())).provider).toBe("b");
    expect((await invoke(harness, count())).provider).toBe("b");
  });

  test("where nobody counts an estimate is given and marked, without asking again", async () => {
    await using harness = await start({ providers: { a: a.url } });
    a.always(wholeAnswer(404, '{"detail":"Not Found"}'));
    const outcome = await invoke(harness, count());
    expect(outcome).toMatchObject({ status: 200, code: "ok" });
    expect(outcome.headers["x-sluice-estimated"]).toBe("true");
    expect(JSON.parse(outcome.body.toString())).toEqual({ input_tokens: expect.any(Number) as number });
    await invoke(harness, count());
    expect(a.requests).toHaveLength(1);
  });

  test("an unknown model's 404 is no missing counter", async () => {
    await using harness = await start({ providers: { a: a.url } });
    a.always(failing(404, { message: "model: x" }));
    expect((await invoke(harness, count())).status).toBe(404);
  });

  test("a limit on counting does not block messages", async () => {
    await using harness = await start({ providers: { a: a.url } });
    a.next(failing(429, {}, { "retry-after": "60" }));
    expect((await invoke(harness, count())).status).toBe(429);
    expect((await invoke(harness)).status).toBe(200);
  });
});
