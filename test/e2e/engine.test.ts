import { describe, expect, test } from "vitest";

import { get, post, prompt, type Answered } from "../support/clients.ts";
import { freePort } from "../support/free-port.ts";
import { ownTargets } from "../support/own-targets.ts";
import type { Handler } from "../support/upstream.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";
import { blockStart, event, messageStart, ping, streamText, textDelta } from "../support/wire-samples.ts";

// What the attempt engine does about each way an attempt can end, seen from both sides: the caller's answer, and who
// was asked how often. Every test has a model with two providers of its own, `<name>-1` and `<name>-2`.

const names = (
  "limited limited-all limited-long wait answered-500 answered-502 answered-503 answered-529 answered-409 overloaded-all " +
  "reset reset-all answered-408 answered-504 unpayable refused refused-all forbidden credit spend hold missing missing-all " +
  "caller-400 caller-413 caller-422 beta before before-end before-cut after-error after-cut after-end order " +
  "affinity thread container dead slow"
).split(" ");

const upstream = await useUpstream();
const own = ownTargets(names, upstream);
own.providers["dead-1"] = { ...own.providers["dead-1"], base_url: `http://127.0.0.1:${await freePort()}` };
const stack = await useStack({ config: { ...own } });

/** Who was asked, in order: the number behind the provider's name. */
const asked = (): string[] =>
  upstream.requests.map(({ headers }) => String(headers["x-api-key"]).split("-").at(-1) ?? "");

/** The first provider of the test does this, the second one answers. */
function firstFails(fail: Handler): void {
  upstream.onRequest((exchange) => {
    if (String(exchange.request.headers["x-api-key"]).endsWith("-1")) return fail(exchange);
    if (exchange.request.stream) exchange.stream("from two");
    else exchange.message("from two");
    return undefined;
  });
}

const call = (name: string, more: object = {}, headers: Record<string, string> = {}): Promise<Answered> =>
  post(stack, prompt(name, { model: `claude-${name}`, ...more }), { headers });

const errorOf = (answer: Answered): unknown => (answer.json as { error: unknown }).error;

describe.each([false, true])("an answered failure, stream: %s", (stream) => {
  test.each(["500", "502", "503", "529", "409"])("%s: the same target once more, then the next", async (status) => {
    firstFails((exchange) => exchange.error(Number(status)));
    const messages = [{ role: "user", content: `streamed: ${stream}` }];
    const answer = await call(`answered-${status}`, { stream, messages });
    expect(answer.text).toContain("from two");
    expect(asked()).toEqual(["1", "1", "2"]);
    expect(answer.headers.get("x-sluice-attempts")).toBe("3");
    expect(answer.headers.get("x-sluice-provider")).toBe(`answered-${status}-2`);
  });

  test("403: the next target, with no mark on the first", async () => {
    firstFails((exchange) => exchange.error(403));
    const ask = (text: string): Promise<Answered> =>
      call("forbidden", { stream, messages: [{ role: "user", content: `${text}, streamed: ${stream}` }] });
    expect((await ask("a")).text).toContain("from two");
    expect((await ask("b")).text).toContain("from two");
    expect(asked()).toEqual(["1", "2", "1", "2"]);
  });
});

describe("429", () => {
  test("goes to the next target at once and leaves the limited one alone until its reset", async () => {
    const askedFirst: number[] = [];
    let resetAt = 0;
    firstFails((exchange) => {
      askedFirst.push(Date.now());
      resetAt ||= Date.now() + 3000;
      exchange.error(429, { headers: { "retry-after": "3" } });
    });
    expect((await call("limited", { messages: [{ role: "user", content: "a" }] })).text).toContain("from two");
    expect(asked()).toEqual(["1", "2"]);
    await call("limited", { messages: [{ role: "user", content: "b" }] });
    await call("limited", { messages: [{ role: "user", content: "c" }], stream: true });
    let others = 0;
    await expect
      .poll(
        async () => {
          await call("limited", { messages: [{ role: "user", content: `other ${others++}` }] });
          return askedFirst.length;
        },
        { interval: 200 },
      )
      .toBe(2);
    expect(askedFirst[1]).toBeGreaterThanOrEqual(resetAt);
  });

  test("on every target is a 429 with the soonest reset when the caller cannot wait", async () => {
    upstream.onRequest((exchange) => {
      const second = String(exchange.request.headers["x-api-key"]).endsWith("-2");
      exchange.error(429, { headers: { "retry-after": second ? "20" : "40" } });
    });
    for (const stream of [false, true]) {
      const answer = await call("limited-all", { stream }, { "x-sluice-max-wait": "0" });
      expect(answer.status).toBe(429);
      expect(errorOf(answer)).toMatchObject({ type: "rate_limit_error" });
      const retryAfter = Number(answer.headers.get("retry-after"));
      expect(retryAfter).toBeGreaterThan(5);
      expect(retryAfter).toBeLessThanOrEqual(20);
      expect(answer.headers.get("x-should-retry")).toBeNull();
      // The gateway's own word, however many were asked for it: no provider has answered.
      expect(answer.headers.get("x-sluice-attempts")).toBe(stream ? "0" : "2");
      for (const name of ["x-sluice-provider", "x-sluice-model"]) expect(answer.headers.get(name)).toBeNull();
    }
    expect(asked()).toEqual(["1", "2"]);
  });

  test("beyond a minute also says that retrying is no use", async () => {
    upstream.onRequest((exchange) => exchange.error(429, { headers: { "retry-after": "90" } }));
    const answer = await call("limited-long", {}, { "x-sluice-max-wait": "0" });
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(60);
    expect(answer.headers.get("x-should-retry")).toBe("false");
  });

  test("on every target for a second is an answer about a second later, for the caller who can wait", async () => {
    const at: number[] = [];
    upstream.onRequest((exchange) => {
      at.push(Date.now());
      if (at.length <= 2) exchange.error(429, { headers: { "retry-after": "1" } });
      else exchange.message("after the wait");
    });
    const answer = await call("wait");
    expect(answer.text).toContain("after the wait");
    // From the first of the two that resets.
    expect((at[2] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(1000);
    expect((at[2] ?? 0) - (at[0] ?? 0)).toBeLessThan(20_000);
    expect(Number(answer.headers.get("x-sluice-queue-ms"))).toBeGreaterThan(500);
  });
});

describe("no answer", () => {
  test("a provider that cannot be reached costs nothing: the next one answers", async () => {
    const answer = await call("dead");
    expect(answer.headers.get("x-sluice-provider")).toBe("dead-2");
    expect(asked()).toEqual(["2"]);
  });

  test("a reset after sending is repeated once in all", async () => {
    firstFails((exchange) => exchange.reset());
    expect((await call("reset")).text).toContain("from two");
    expect(asked()).toEqual(["1", "2"]);
    upstream.clear();
    upstream.onRequest((exchange) => exchange.reset());
    const failed = await call("reset-all");
    expect(asked()).toHaveLength(2);
    expect(failed.status).toBe(529);
    expect(errorOf(failed)).toMatchObject({ type: "overloaded_error" });
  });

  test.each([408, 504])("%i is repeated once in all, like a reset", async (status) => {
    upstream.onRequest((exchange) => exchange.error(status));
    const answer = await call(`answered-${status}`);
    expect(asked()).toHaveLength(2);
    const { json } = await get(stack, `/v1/requests/${answer.headers.get("x-sluice-request-id")}`);
    expect(json).toMatchObject({ attempts: [{ rerun: false }, { rerun: true }] });
    const metrics = await (await fetch(`${stack.get("worker").opsUrl}/metrics`)).text();
    expect(metrics).toMatch(new RegExp(`possible_double_charge_total\\{provider="answered-${status}-2"[^}]*\\} 1`));
  });

  test("in time is a 504 that is not to be retried", async () => {
    upstream.onRequest(() => {});
    const answer = await call("slow", {}, { "x-stainless-timeout": "4" });
    expect(answer.status).toBe(504);
    expect(errorOf(answer)).toMatchObject({ type: "timeout_error" });
    expect(answer.headers.get("x-should-retry")).toBe("false");
    await expect.poll(() => upstream.requests[0]?.closed).toBe(false);
  });

  test("every target overloaded is a 529 that says when to come back", async () => {
    upstream.onRequest((exchange) => exchange.error(529));
    const answer = await call("overloaded-all");
    expect(answer.status).toBe(529);
    expect(errorOf(answer)).toMatchObject({ type: "overloaded_error" });
    const retryAfter = Number(answer.headers.get("retry-after"));
    expect(retryAfter).toBeGreaterThanOrEqual(1);
    expect(retryAfter).toBeLessThanOrEqual(30);
    expect(asked().toSorted()).toEqual(["1", "1", "2", "2"]);
  });
});

describe("the gateway's own account", () => {
  const trouble: readonly [string, Handler][] = [
    ["refused", (exchange) => exchange.error(401)],
    ["unpayable", (exchange) => exchange.error(402)],
    [
      "credit",
      (exchange) => exchange.error(400, { message: "Your credit balance is too low to access the Anthropic API." }),
    ],
    ["spend", (exchange) => exchange.error(429, { details: { error_code: "enforced_spend_limit_reached" } })],
    ["hold", (exchange) => exchange.error(400, { details: { error_code: "organization_on_hold" } })],
  ];

  test.each(trouble)("%s: the next target, and the provider is left alone from then on", async (name, fail) => {
    firstFails(fail);
    expect((await call(name)).text).toContain("from two");
    expect(asked()).toEqual(["1", "2"]);
    expect((await call(name, { messages: [{ role: "user", content: "another" }] })).text).toContain("from two");
    expect((await call(name, { messages: [{ role: "user", content: "a third" }], stream: true })).text).toContain(
      "from two",
    );
    expect(asked()).toEqual(["1", "2", "2", "2"]);
  });

  test("refused everywhere is a 502, never a 401, and not to be retried", async () => {
    upstream.onRequest((exchange) => exchange.error(401));
    const answer = await call("refused-all");
    expect(answer.status).toBe(502);
    expect(errorOf(answer)).toMatchObject({ type: "api_error" });
    expect(answer.headers.get("x-should-retry")).toBe("false");
  });
});

describe("the caller's own doing", () => {
  test.each([400, 413, 422])("%i comes back as it came, from one provider", async (status) => {
    const details = { error_code: "image_dimensions_too_large", paths: ["messages.0"] };
    upstream.onRequest((exchange) => exchange.error(status, { message: "odd  spacing é", details }));
    for (const stream of [false, true]) {
      const answer = await call(`caller-${status}`, { stream });
      expect(answer.status).toBe(status);
      expect(errorOf(answer)).toMatchObject({ message: "odd  spacing é", details });
      expect(answer.headers.get("request-id")).toMatch(/^req_upstream_/);
    }
    expect(asked()).toEqual(["1", "1"]);
  });

  test("404 goes to the next target, and is passed on when it is the last", async () => {
    firstFails((exchange) => exchange.error(404));
    expect((await call("missing")).text).toContain("from two");
    upstream.onRequest((exchange) => exchange.error(404, { message: "model: gone" }));
    const answer = await call("missing-all");
    expect(answer.status).toBe(404);
    expect(errorOf(answer)).toMatchObject({ type: "not_found_error" });
  });

  test("a beta that a provider refuses is left out there, at once the next time", async () => {
    upstream.onRequest((exchange) => {
      const betas = String(exchange.request.headers["anthropic-beta"] ?? "").split(",");
      if (betas.includes("new-2027-01-01"))
        exchange.error(400, { message: "Unexpected value(s) `new-2027-01-01` for the `anthropic-beta` header." });
      else exchange.message("without it");
    });
    const headers = { "anthropic-beta": "old-2024-01-01,new-2027-01-01" };
    expect((await call("beta", {}, headers)).text).toContain("without it");
    expect((await call("beta", {}, headers)).text).toContain("without it");
    const sent = upstream.requests.map((request) => request.headers["anthropic-beta"]);
    expect(sent).toEqual(["old-2024-01-01,new-2027-01-01", "old-2024-01-01", "old-2024-01-01"]);
  });
});

describe("a stream that fails before its content", () => {
  const overloaded = event("error", { error: { type: "overloaded_error", message: "Overloaded" } });
  const broken: readonly [string, Handler][] = [
    ["before", (exchange) => void exchange.openStream().end(messageStart() + ping + overloaded)],
    ["before-end", (exchange) => void exchange.openStream().end(messageStart() + ping)],
    ["before-cut", (exchange) => void exchange.openStream().write(messageStart(), () => exchange.socket.destroySoon())],
  ];

  test.each(broken)("%s: another attempt answers, and nothing of the broken one is seen", async (name, fail) => {
    upstream.next(fail);
    const answer = await call(name, { stream: true });
    expect(answer.status).toBe(200);
    expect(answer.text.match(/event: message_start/g)).toHaveLength(1);
    expect(answer.text).toContain("message_stop");
    expect(answer.text).not.toContain("overloaded");
    expect(asked()).toHaveLength(2);
  });
});

describe("a stream that fails after content", () => {
  const begun = messageStart() + blockStart() + textDelta("so far");

  test("an error event is passed on as it came, and nothing follows", async () => {
    const error = event("error", { error: { type: "overloaded_error", message: "Overloaded, sorry" } });
    upstream.onRequest((exchange) => void exchange.openStream().end(begun + error));
    const answer = await call("after-error", { stream: true });
    expect(answer.text).toBe(begun + error);
    expect(asked()).toEqual(["1"]);
  });

  test.each<[string, Handler]>([
    ["after-cut", (exchange) => void exchange.openStream().write(begun, () => exchange.socket.destroySoon())],
    ["after-end", (exchange) => void exchange.openStream().end(begun)],
  ])("%s: the stream ends with an error event, never as if it were whole", async (name, fail) => {
    upstream.onRequest(fail);
    const answer = await call(name, { stream: true });
    expect(answer.text.startsWith(begun)).toBe(true);
    expect(answer.text.slice(begun.length)).toMatch(
      /^event: error\ndata: \{"type":"error","error":\{"type":"api_error"/,
    );
    expect(answer.text).not.toContain("message_stop");
    expect(asked()).toEqual(["1"]);
    const id = answer.headers.get("x-sluice-request-id") ?? "";
    await expect
      .poll(async () => (await get(stack, `/v1/requests/${id}`)).json)
      .toMatchObject({
        attempts: [{ reason: "stream_cut" }],
      });
  });
});

describe("where a call goes", () => {
  test("as the caller wishes: order, only, and a target that is not in the plan", async () => {
    const wish = (gateway: object): object => ({ providerOptions: { gateway } });
    expect((await call("order", wish({ order: ["order-2"] }))).headers.get("x-sluice-provider")).toBe("order-2");
    expect((await call("order", wish({ only: ["order-2"] }))).headers.get("x-sluice-provider")).toBe("order-2");
    expect((await call("order", wish({ only: ["nobody"] }))).status).toBe(400);
  });

  test("a conversation stays where it was served", async () => {
    firstFails((exchange) => exchange.error(529));
    const first = { role: "user", content: "the beginning of it all" };
    const system = "You are a test.";
    expect((await call("affinity", { system, messages: [first] })).headers.get("x-sluice-provider")).toBe("affinity-2");
    upstream.onRequest(undefined);
    const next = [first, { role: "assistant", content: "from two" }, { role: "user", content: "and then?" }];
    for (const stream of [false, true])
      expect((await call("affinity", { system, messages: next, stream })).headers.get("x-sluice-provider")).toBe(
        "affinity-2",
      );
    const other = [{ role: "user", content: "somebody else" }];
    expect((await call("affinity", { system, messages: other })).headers.get("x-sluice-provider")).toBe("affinity-1");
  });

  test("a thread goes on where it was made, or is not found", async () => {
    const headers = { "anthropic-beta": "message-threads-2026-08-12" };
    firstFails((exchange) => exchange.error(529));
    const made = await call("thread", { thread: { type: "create" } }, headers);
    expect(made.headers.get("x-sluice-provider")).toBe("thread-2");
    const { id } = made.json as { id: string };
    upstream.onRequest(undefined);
    const thread = { type: "continue", previous_message_id: id };
    const gone = await call("thread", { thread }, headers);
    expect(gone.headers.get("x-sluice-provider")).toBe("thread-2");
    upstream.clear();
    const unknown = await call("thread", { thread: { ...thread, previous_message_id: "msg_unknown" } }, headers);
    expect(unknown.status).toBe(404);
    expect(errorOf(unknown)).toMatchObject({ type: "not_found_error", details: { error_code: "thread_not_found" } });
    const stranger = { ...stack, key: stack.otherKey };
    const stolen = await post(stranger, prompt("thread", { model: "claude-thread", thread }), { headers });
    expect(stolen.status).toBe(404);
    expect(asked()).toEqual([]);
  });

  test("a streamed answer's thread is bound as well", async () => {
    const headers = { "anthropic-beta": "message-threads-2026-08-12" };
    firstFails((exchange) => exchange.error(403));
    upstream.next(
      (exchange) => exchange.error(403),
      (exchange) => void exchange.openStream().end(streamText("x").replace(/msg_up_\d+/, "msg_bound_stream")),
    );
    const message = { role: "user", content: "a streamed thread" };
    const made = await call("container", { thread: { type: "create" }, stream: true, messages: [message] }, headers);
    expect(made.text).toContain("msg_bound_stream");
    const thread = { type: "continue", previous_message_id: "msg_bound_stream" };
    expect((await call("container", { thread }, headers)).headers.get("x-sluice-provider")).toBe("container-2");
  });
});
