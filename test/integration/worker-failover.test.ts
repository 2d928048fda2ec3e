import { describe, expect, test } from "vitest";
import { bestOf } from "../support/best-of.ts";
import { eventually } from "../support/eventually.ts";
import { answerHead, reset, stall, wholeAnswer, type Script } from "../support/scripted-upstream.ts";
import { counted, failing, invoke, ok, useWorkerBed } from "../support/use-worker-bed.ts";
import { errorBody } from "../support/wire-samples.ts";
import { errorOf, makeCall, makeContext, modelName, reasonsOf } from "../support/worker-harness.ts";

const { a, b, start } = await useWorkerBed();

describe("failover", () => {
  const rows: readonly (readonly [string, Script, string])[] = [
    ["500 is tried again on the same target, then on the next", failing(500), "a server_error, a server_error, b ok"],
    ["502 likewise", failing(502), "a server_error, a server_error, b ok"],
    ["503 likewise", failing(503), "a overloaded, a overloaded, b ok"],
    ["529 likewise", failing(529), "a overloaded, a overloaded, b ok"],
    ["409 likewise", failing(409), "a server_error, a server_error, b ok"],
    ["401 goes to the next target at once", failing(401), "a credential_refused, b ok"],
    ["402 goes to the next target at once", failing(402), "a account_exhausted, b ok"],
    ["403 goes to the next target at once", failing(403), "a forbidden, b ok"],
    ["404 goes to the next target at once", failing(404), "a not_found, b ok"],
    ["429 goes to the next target at once", failing(429, {}, { "retry-after": "60" }), "a rate_limited, b ok"],
    [
      "a 400 for want of credit goes to the next target",
      failing(400, { message: "Your credit balance is too low to access the API." }),
      "a account_exhausted, b ok",
    ],
    [
      "a 400 for an account on hold goes to the next target",
      failing(400, { details: { error_code: "organization_on_hold" } }),
      "a account_exhausted, b ok",
    ],
    [
      "a 429 at a spend limit is no rate limit",
      failing(429, { details: { error_code: "enforced_spend_limit_reached" } }),
      "a account_exhausted, b ok",
    ],
    ["504 is run once more on the next target", failing(504), "a no_status, b ok"],
    ["408 is run once more on the next target", failing(408), "a no_status, b ok"],
    ["a reset is run once more on the next target", [reset], "a reset, b ok"],
    [
      "an error document with status 200 counts as its type",
      wholeAnswer(200, JSON.stringify(errorBody(529))),
      "a overloaded, a overloaded, b ok",
    ],
    [
      "an HTML page with status 200 is no answer",
      wholeAnswer(200, "<html>", { "content-type": "text/html" }),
      "a server_error, a server_error, b ok",
    ],
    [
      "half a document with status 200 is no answer",
      wholeAnswer(200, '{"type":"message","id":"m'),
      "a server_error, a server_error, b ok",
    ],
    [
      "a compressed answer is no answer",
      wholeAnswer(200, "\u001f\u008b", { "content-encoding": "gzip" }),
      "a server_error, a server_error, b ok",
    ],
    [
      "a redirect is not followed",
      wholeAnswer(302, "", { location: "http://127.0.0.1:1/" }),
      "a server_error, a server_error, b ok",
    ],
  ];
  test.each(rows)("%s", async (_, script, trail) => {
    await using harness = await start();
    a.always(script);
    const outcome = await invoke(harness);
    expect(outcome.attempts.map(({ provider, reason }) => `${provider} ${reason}`).join(", ")).toBe(trail);
  });

  test("a provider that refuses connections costs nothing: the next is asked at once", async () => {
    await using harness = await start({ providers: { gone: "http://127.0.0.1:1", b: b.url } });
    const context = makeContext();
    const outcome = await harness.handler.invoke(makeCall(), context);
    expect(reasonsOf(outcome)).toEqual(["connect_failed", "ok"]);
    expect(context.sentNotes.map(({ provider }) => provider)).toEqual(["b"]);
  });

  test("a name that does not resolve is a connect failure", async () => {
    await using harness = await start({ providers: { gone: "http://no-such-host.invalid", b: b.url } });
    expect(reasonsOf(await invoke(harness))).toEqual(["connect_failed", "ok"]);
  });

  test("a second attempt on the same target that is served ends it", async () => {
    await using harness = await start();
    a.next(failing(500));
    const outcome = await invoke(harness);
    expect(outcome).toMatchObject({ status: 200, provider: "a" });
    expect(outcome.waits).toMatchObject([{ kind: "backoff" }]);
  });

  test.each([400, 413, 422])(
    "HTTP %i is the caller's doing: it goes back as it came, without failover",
    async (status) => {
      await using harness = await start();
      const body = JSON.stringify(
        errorBody(status, { details: { error_code: "image_dimensions_too_large" }, requestId: "req_9" }),
        undefined,
        2,
      );
      a.next(wholeAnswer(status, body, { "request-id": "req_9", "x-should-retry": "false" }));
      const outcome = await invoke(harness);
      expect(outcome).toMatchObject({ status, code: "upstream", provider: "a" });
      expect(outcome.body.toString()).toBe(body);
      expect(outcome.headers).toMatchObject({ "request-id": "req_9", "x-should-retry": "false" });
      expect(b.requests).toHaveLength(0);
    },
  );

  test("a 400 without Anthropic's envelope gets one", async () => {
    await using harness = await start();
    a.next(wholeAnswer(400, "<html>bad</html>", { "content-type": "text/html" }));
    const outcome = await invoke(harness);
    expect(outcome.status).toBe(400);
    expect(errorOf(outcome).type).toBe("invalid_request_error");
  });

  test("the last target's 404 is the answer when all say so", async () => {
    await using harness = await start();
    a.always(failing(404));
    b.always(failing(404, { message: "model: x", requestId: "req_b" }, { "request-id": "req_b" }));
    const outcome = await invoke(harness);
    expect(outcome).toMatchObject({ status: 404, provider: "b" });
    expect(outcome.headers["request-id"]).toBe("req_b");
  });

  test("500 everywhere goes back as it came", async () => {
    await using harness = await start();
    a.always(failing(500));
    b.always(failing(500, { message: "boom" }));
    const outcome = await invoke(harness);
    expect(outcome).toMatchObject({ status: 500, code: "upstream" });
    expect(errorOf(outcome).message).toBe("boom");
  });

  test("529 everywhere is a 529 with retry-after", async () => {
    await using harness = await start();
    a.always(failing(529));
    b.always(failing(503));
    const outcome = await invoke(harness);
    expect(outcome).toMatchObject({ status: 529, code: "overloaded" });
    expect(Number(outcome.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    expect(errorOf(outcome).type).toBe("overloaded_error");
  });

  test.each([
    ["7", "7"],
    ["3600", "30"],
    ["Sat, 21 Nov 2026 12:00:40 GMT", "1"],
  ])("an overloaded provider's retry-after of %s becomes %s", async (given, expected) => {
    await using harness = await start({ providers: { a: a.url } });
    a.always(failing(529, {}, { "retry-after": given }));
    const outcome = await invoke(harness);
    expect(outcome).toMatchObject({ status: 529, headers: { "retry-after": expected, "request-id": "req_failed" } });
  });

  test("unreachable everywhere is a 529 with retry-after", async () => {
    await using harness = await start({ providers: { x: "http://127.0.0.1:1", y: "http://127.0.0.1:2" } });
    const outcome = await invoke(harness);
    expect(outcome).toMatchObject({ status: 529, code: "overloaded" });
    expect(outcome.headers["retry-after"]).toBe("1");
  });

  test("accounts refused everywhere are a 502 that says nothing of the account and is not to be retried", async () => {
    await using harness = await start();
    a.always(failing(401, { message: "invalid x-api-key" }));
    b.always(failing(400, { message: "Your credit balance is too low" }));
    const outcome = await invoke(harness);
    expect(outcome).toMatchObject({ status: 502, code: "upstream_refused" });
    expect(outcome.headers["x-should-retry"]).toBe("false");
    expect(outcome.body.toString()).not.toMatch(/credit|x-api-key|balance/);
    expect(await invoke(harness)).toMatchObject({ status: 502, attempts: [] });
  });
});

describe("sent but unanswered", () => {
  test("is run once more in all, marked and counted as a possible double charge", async () => {
    await using harness = await start();
    a.next([reset]);
    const outcome = await invoke(harness);
    expect(outcome.status).toBe(200);
    expect(outcome.attempts).toMatchObject([{ reason: "reset" }, { reason: "ok", rerun: true }]);
    expect(await counted(harness, "possible_double_charge_total")).toContain('provider="b",model="claude-opus-4-8"} 1');
  });

  test("twice is the end", async () => {
    await using harness = await start();
    a.always([reset]);
    b.always([reset]);
    const outcome = await invoke(harness);
    expect(outcome).toMatchObject({ status: 529, code: "overloaded" });
    expect(outcome.attempts).toMatchObject([{ provider: "a" }, { provider: "b", rerun: true }]);
  });

  test("is repeated on the same target where there is no other", async () => {
    await using harness = await start({ providers: { a: a.url } });
    a.next([reset]);
    expect(reasonsOf(await invoke(harness))).toEqual(["reset", "ok"]);
  });

  test("an answer broken off in its body counts", async () => {
    await using harness = await start();
    a.next([answerHead(200, { "content-type": "application/json", "content-length": "1000" }), '{"type":', reset]);
    expect(reasonsOf(await invoke(harness))).toEqual(["reset", "ok"]);
  });

  test("is not repeated where that is switched off, and the client is told not to either", async () => {
    await using harness = await start({ engine: { rerunSent: false } });
    a.always([reset]);
    const outcome = await invoke(harness);
    expect(a.requests).toHaveLength(1);
    expect(outcome.headers["x-should-retry"]).toBe("false");
  });

  test("a provider's own switch goes before the engine's", async () => {
    await using harness = await start({ providers: { a: { baseUrl: a.url, rerunSent: false } } });
    a.always([reset]);
    await invoke(harness);
    expect(a.requests).toHaveLength(1);
  });

  test("a lost worker's attempt counts as the first", async () => {
    await using harness = await start();
    const sentBefore = { provider: "a", model: modelName, at: Date.now() - 100 };
    const first = await invoke(harness, makeCall({ sentBefore, delivery: 2 }));
    expect(first.attempts).toMatchObject([{ reason: "worker_lost" }, { reason: "ok", rerun: true }]);
    a.always([reset]);
    a.clear();
    expect(reasonsOf(await invoke(harness, makeCall({ sentBefore })))).toEqual(["worker_lost", "reset"]);
    expect(a.requests).toHaveLength(1);
  });

  test("a lost worker's attempt is not repeated where that is switched off", async () => {
    await using harness = await start({ engine: { rerunSent: false } });
    const sentBefore = { provider: "a", model: modelName, at: Date.now() };
    const outcome = await invoke(harness, makeCall({ sentBefore }));
    expect(outcome).toMatchObject({ status: 500, headers: { "x-should-retry": "false" } });
    expect(a.requests).toHaveLength(0);
  });

  test("a deadline that passes while a provider is at work is a 504 that is not to be retried", async () => {
    await using harness = await start();
    a.next([stall]);
    const outcome = await invoke(harness, makeCall({ deadlineMs: 3_000 }));
    expect(outcome).toMatchObject({ status: 504, code: "timed_out" });
    expect(outcome.headers["x-should-retry"]).toBe("false");
    expect(errorOf(outcome).type).toBe("timeout_error");
    await eventually(() => expect(a.openSockets).toBe(0));
  });
});

describe("leaving callers", () => {
  test("the socket to the provider is closed within a second, and nothing is tried again", async () => {
    await using harness = await start();
    const leave = async (round: number): Promise<number> => {
      a.next([stall]);
      const context = makeContext();
      const invoked = harness.handler.invoke(makeCall(), context);
      await eventually(() => expect(a.requests).toHaveLength(round + 1));
      const leftAt = performance.now();
      context.abort();
      await a.requests[round]?.closed;
      const tookMs = performance.now() - leftAt;
      expect((await invoked).code).toBe("cancelled");
      expect(a.requests).toHaveLength(round + 1);
      return tookMs;
    };
    expect(await bestOf(3, leave, 1000)).toBeLessThan(1000);
    expect(b.requests).toHaveLength(0);
  });

  test("a call that waits for a connection is given up before it is sent", async () => {
    await using harness = await start({ providers: { a: { baseUrl: a.url, connections: 1 } } });
    let release = (): void => undefined;
    a.next([
      new Promise<void>((resolve) => {
        release = resolve;
      }),
      ...(ok("late") as Buffer[]),
    ]);
    const first = invoke(harness);
    await eventually(() => expect(a.requests).toHaveLength(1));
    const context = makeContext();
    const second = harness.handler.invoke(makeCall(), context);
    context.abort();
    expect((await second).code).toBe("cancelled");
    release();
    expect((await first).status).toBe(200);
    expect((await invoke(harness)).status).toBe(200);
    expect(a.requests).toHaveLength(2);
    expect(context.sentNotes).toHaveLength(0);
  });
});
