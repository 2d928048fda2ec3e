import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import { bestOf } from "../support/best-of.ts";
import { get, post, prompt, sdk, streamedText, type Answered } from "../support/clients.ts";
import type { Exchange } from "../support/upstream.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";
import { blockStart, messageStart, streamEnd, textDelta } from "../support/wire-samples.ts";

// Calls that are asked for more than once and made once. Two gateways: the second request goes to the other one.

/** How long a call goes on for nobody. */
const lingerMs = 4000;

const upstream = await useUpstream();
const stack = await useStack({ upstreams: [upstream], gateways: 2, config: { queue: { linger: `${lingerMs}ms` } } });

const retry = { "x-stainless-retry-count": "1" };

/** Every whole call is answered when its time has come. */
function holdAnswers(): { readonly held: Exchange[]; release(): void } {
  const held: Exchange[] = [];
  upstream.onRequest((exchange) => void held.push(exchange));
  return {
    held,
    release: () => {
      for (const exchange of held.splice(0)) exchange.message(`answer to ${exchange.request.prompt}`);
    },
  };
}

const joinedBy = ({ headers }: Answered): string | undefined => headers.get("x-sluice-joined")?.split(" ")[0];

describe("an SDK's retry", () => {
  test("joins the call whose caller has left, at another gateway", async () => {
    const { held, release } = holdAnswers();
    const leave = new AbortController();
    const first = post(stack, prompt("left"), { signal: leave.signal }).catch(() => "left");
    await expect.poll(() => held.length).toBe(1);
    leave.abort();
    expect(await first).toBe("left");
    const second = post(stack.other, prompt("left"), { headers: retry });
    // Past the time that a call goes on for nobody.
    await sleep(lingerMs);
    release();
    const answer = await second;
    expect(answer.status).toBe(200);
    expect(answer.text).toContain("answer to left");
    expect(joinedBy(answer)).toBe("joined");
    expect(upstream.requests).toHaveLength(1);
  });

  test("joins a call whose caller still waits; both have the answer, and either may leave", async () => {
    const { held, release } = holdAnswers();
    const first = post(stack, prompt("shared"));
    await expect.poll(() => held.length).toBe(1);
    const leave = new AbortController();
    const gone = post(stack.other, prompt("shared"), { headers: retry, signal: leave.signal }).catch(() => "left");
    const here = post(stack, prompt("shared"), { headers: retry });
    await sleep(300);
    leave.abort();
    expect(await gone).toBe("left");
    await sleep(lingerMs + 500);
    release();
    const answers = await Promise.all([first, here]);
    for (const { status, text } of answers) {
      expect(status).toBe(200);
      expect(text).toContain("answer to shared");
    }
    expect(answers.map(joinedBy)).toEqual([undefined, "joined"]);
    expect(upstream.requests).toHaveLength(1);
  });

  test("has a success that is at most a minute old", async () => {
    const first = await post(stack, prompt("answered"));
    const second = await post(stack.other, prompt("answered"), { headers: retry });
    expect(second.bytes.equals(first.bytes)).toBe(true);
    expect(second.headers.get("request-id")).toBe(first.headers.get("request-id"));
    expect(joinedBy(second)).toBe("replayed");
    expect(upstream.requests).toHaveLength(1);
  });

  test("survives the gateway that had the call", async () => {
    const { held, release } = holdAnswers();
    const lost = post(stack.other, prompt("gateway killed")).catch(() => "lost");
    await expect.poll(() => held.length).toBe(1);
    await stack.get("gateway-2").kill("SIGKILL");
    expect(await lost).toBe("lost");
    const second = post(stack, prompt("gateway killed"), { headers: retry });
    await sleep(200);
    release();
    const answer = await second;
    expect(answer.text).toContain("answer to gateway killed");
    expect(upstream.requests).toHaveLength(1);
  });

  test.each<[string, () => Promise<Answered>]>([
    ["another body", () => post(stack.other, prompt("mine", { max_tokens: 7 }), { headers: retry })],
    ["another key", () => post({ ...stack.other, key: stack.otherKey }, prompt("mine"), { headers: retry })],
    [
      "another version",
      () => post(stack.other, prompt("mine"), { headers: { ...retry, "anthropic-version": "2026-10-21" } }),
    ],
    ["other betas", () => post(stack.other, prompt("mine"), { headers: { ...retry, "anthropic-beta": "b-1" } })],
    ["no retry count", () => post(stack.other, prompt("mine"))],
    ["a retry count of 0", () => post(stack.other, prompt("mine"), { headers: { "x-stainless-retry-count": "0" } })],
  ])("with %s is a call of its own", async (_name, again) => {
    await post(stack, prompt("mine"));
    const second = await again();
    expect(second.status).toBe(200);
    expect(joinedBy(second)).toBeUndefined();
    expect(upstream.with("mine")).toHaveLength(2);
  });

  test("after a failure is a call of its own", async () => {
    upstream.next(
      (exchange) => exchange.error(529),
      (exchange) => exchange.error(529),
    );
    const first = await post(stack, prompt("failed"));
    expect(first.status).toBe(529);
    const second = await post(stack.other, prompt("failed"), { headers: retry });
    expect(second.status).toBe(200);
    expect(joinedBy(second)).toBeUndefined();
  });

  test("is what the official SDK sends when its own time is up", async () => {
    // The SDK gives up after three seconds, waits a little, and asks again; it names them as the call's deadline, so that
    // its leaving and the end of the call come at the same time.
    const ask = async (round: number): Promise<number> => {
      upstream.clear();
      const { held, release } = holdAnswers();
      let asked = 0;
      const client = sdk(stack, { maxRetries: 1, timeout: 3000 }).withOptions({
        fetch: (url, init) => {
          asked += 1;
          return fetch(url, init);
        },
      });
      const content = `by the sdk ${round}`;
      const answer = client.messages
        .create({ model: "claude-opus-4-8", max_tokens: 16, messages: [{ role: "user", content }] })
        .catch(() => undefined);
      await expect.poll(() => asked).toBe(2);
      await expect.poll(() => held.length).toBeGreaterThan(0);
      await sleep(500);
      release();
      const [block] = (await answer)?.content ?? [];
      return block?.type === "text" && block.text === `answer to ${content}` ? upstream.requests.length : Infinity;
    };
    expect(await bestOf(3, ask, 1)).toBe(1);
  });
});

/** A caller leaves: how long it takes until its provider's socket is closed. */
async function leave(body: object, path = "/v1/messages"): Promise<number> {
  const { held } = holdAnswers();
  const leaving = new AbortController();
  const call = post(stack, body, { path, signal: leaving.signal }).catch(() => "left");
  await expect.poll(() => held.length).toBe(1);
  const leftAt = performance.now();
  leaving.abort();
  await call;
  expect(await held[0]?.request.closed).toBe(false);
  return performance.now() - leftAt;
}

test("nobody joins: the call is cancelled to the provider's socket, after the time in which somebody may", async () => {
  const tookMs = await bestOf(3, () => leave(prompt("nobody")), lingerMs + 3000);
  expect(tookMs).toBeGreaterThan(lingerMs - 200);
  expect(tookMs).toBeLessThan(lingerMs + 3000);
  upstream.clear();
  const again = await post(stack.other, prompt("nobody"), { headers: retry });
  expect(joinedBy(again)).toBeUndefined();
  expect(again.text).toContain("echo: nobody");
});

test("a count is cancelled at once, and joined by nobody", async () => {
  const path = "/v1/messages/count_tokens";
  expect(await bestOf(3, () => leave(prompt("count"), path), 2000)).toBeLessThan(2000);
});

describe("an idempotency key", () => {
  const keyed = (key: string = randomUUID()): Readonly<Record<string, string>> => ({ "idempotency-key": key });

  test("gives a finished answer once more, whichever gateway it reaches", async () => {
    const headers = keyed();
    const first = await post(stack, prompt("finished"), { headers });
    const second = await post(stack.other, prompt("finished"), { headers });
    expect(second.bytes.equals(first.bytes)).toBe(true);
    expect(joinedBy(first)).toBeUndefined();
    expect(joinedBy(second)).toBe("replayed");
    expect(upstream.requests).toHaveLength(1);
    const trace = await get(stack, `/v1/requests/${second.headers.get("x-sluice-request-id")}`);
    await expect
      .poll(async () => (await get(stack, `/v1/requests/${second.headers.get("x-sluice-request-id")}`)).json)
      .toMatchObject({ usage: null, notes: [expect.stringMatching(/^replayed: call_/)] });
    expect(trace.status).toBeLessThan(500);
  });

  test("joins a running call, ten times over", async () => {
    const { held, release } = holdAnswers();
    const headers = keyed();
    const calls = Array.from({ length: 10 }, (_, index) =>
      post(index % 2 === 0 ? stack : stack.other, prompt("running"), { headers }),
    );
    await expect.poll(() => held.length).toBe(1);
    await sleep(300);
    release();
    const answers = await Promise.all(calls);
    for (const { status, text } of answers) expect([status, text.includes("answer to running")]).toEqual([200, true]);
    expect(answers.filter((answer) => joinedBy(answer) === undefined)).toHaveLength(1);
    expect(upstream.requests).toHaveLength(1);
  });

  test("counts too", async () => {
    const headers = keyed();
    const path = "/v1/messages/count_tokens";
    const first = await post(stack, prompt("four"), { path, headers });
    const second = await post(stack.other, prompt("four"), { path, headers });
    expect(first.json).toEqual({ input_tokens: 4 });
    expect(second.json).toEqual({ input_tokens: 4 });
    expect(upstream.requests).toHaveLength(1);
  });

  test.each<[string, string, object]>([
    ["another body", "/v1/messages", prompt("other")],
    ["another endpoint", "/v1/messages/count_tokens", prompt("one")],
    ["a stream in place of a whole answer", "/v1/messages", prompt("one", { stream: true })],
  ])("with %s is a 422", async (_name, path, body) => {
    const headers = keyed();
    await post(stack, prompt("one"), { headers });
    const second = await post(stack.other, body, { path, headers });
    expect(second.status).toBe(422);
    expect(second.json).toMatchObject({ type: "error", error: { type: "invalid_request_error" } });
    expect(upstream.requests).toHaveLength(1);
  });

  test("is its own key's only", async () => {
    const headers = keyed();
    await post(stack, prompt("mine"), { headers });
    const second = await post({ ...stack.other, key: stack.otherKey }, prompt("theirs"), { headers });
    expect(second.text).toContain("echo: theirs");
  });

  test("of 10 KB is a 400, for every kind of call", async () => {
    const headers = keyed("k".repeat(10_240));
    const answers = await Promise.all([
      post(stack, prompt("long"), { headers }),
      post(stack, prompt("long", { stream: true }), { headers }),
      post(stack, prompt("long"), { headers, path: "/v1/messages/count_tokens" }),
      post(stack, prompt("long"), { headers: { ...headers, prefer: "respond-async" } }),
    ]);
    for (const { status, json } of answers) {
      expect(status).toBe(400);
      expect(json).toMatchObject({ error: { type: "invalid_request_error" } });
    }
    expect(upstream.requests).toHaveLength(0);
  });

  test("keeps what was wrong with the request, and lets what failed be asked again", async () => {
    const bad = keyed();
    upstream.next((exchange) => exchange.error(400, { message: "no such thing" }));
    const first = await post(stack, prompt("bad"), { headers: bad });
    const second = await post(stack.other, prompt("bad"), { headers: bad });
    expect([first.status, second.status]).toEqual([400, 400]);
    expect(second.text).toBe(first.text);
    const failed = keyed();
    upstream.next(
      (exchange) => exchange.error(529),
      (exchange) => exchange.error(529),
    );
    expect((await post(stack, prompt("failed"), { headers: failed })).status).toBe(529);
    const again = await post(stack.other, prompt("failed"), { headers: failed });
    expect(again.text).toContain("echo: failed");
  });

  test("is free again when its caller left and nobody came", async () => {
    const { held } = holdAnswers();
    const headers = keyed();
    const leave = new AbortController();
    const call = post(stack, prompt("given up"), { headers, signal: leave.signal }).catch(() => "left");
    await expect.poll(() => held.length).toBe(1);
    leave.abort();
    await call;
    expect(await held[0]?.request.closed).toBe(false);
    upstream.clear();
    await expect
      .poll(async () => (await post(stack.other, prompt("given up"), { headers })).text)
      .toContain("echo: given up");
  });

  test("survives the gateway that had it", async () => {
    const { held, release } = holdAnswers();
    const headers = keyed();
    const lost = post(stack.other, prompt("killed"), { headers }).catch(() => "lost");
    await expect.poll(() => held.length).toBe(1);
    await stack.get("gateway-2").kill("SIGKILL");
    await lost;
    release();
    const joined = await post(stack, prompt("killed"), { headers });
    expect(joined.text).toContain("answer to killed");
    expect(upstream.requests).toHaveLength(1);
  });

  describe("on a stream", () => {
    /** Writes its deltas one after the other, as fast as it is let. */
    function slowStream(deltas: number, everyMs: number): void {
      upstream.onRequest(async ({ request, openStream }) => {
        const response = openStream();
        response.write(messageStart() + blockStart());
        for (let delta = 0; delta < deltas; delta++) {
          await sleep(everyMs);
          response.write(textDelta(`${request.prompt} ${delta} `));
        }
        response.end(streamEnd());
      });
    }

    test("replays a finished one, byte for byte", async () => {
      slowStream(20, 5);
      const headers = keyed();
      const first = await post(stack, prompt("s", { stream: true }), { headers });
      const second = await post(stack.other, prompt("s", { stream: true }), { headers });
      expect(second.status).toBe(200);
      expect(second.headers.get("content-type")).toBe(first.headers.get("content-type"));
      expect(second.headers.get("request-id")).toBe(first.headers.get("request-id"));
      expect(second.bytes.equals(first.bytes)).toBe(true);
      expect(upstream.requests).toHaveLength(1);
    });

    test("joins a running one from its start", async () => {
      slowStream(30, 50);
      const headers = keyed();
      const first = post(stack, prompt("r", { stream: true }), { headers });
      await sleep(700);
      const second = post(stack.other, prompt("r", { stream: true }), { headers });
      const [one, two] = await Promise.all([first, second]);
      expect(streamedText(one)).toMatch(/^r 0 .* r 29 $/);
      expect(two.text).toBe(one.text);
      expect(upstream.requests).toHaveLength(1);
    });

    test("goes on for the one who joined when the first caller leaves, and ends when nobody is left", async () => {
      slowStream(80, 50);
      const headers = keyed();
      const leave = new AbortController();
      const first = post(stack, prompt("l", { stream: true }), { headers, signal: leave.signal }).catch(() => "left");
      await sleep(500);
      const second = post(stack.other, prompt("l", { stream: true }), { headers });
      await sleep(300);
      leave.abort();
      expect(await first).toBe("left");
      expect(streamedText(await second)).toMatch(/^l 0 .* l 79 $/);
      expect(upstream.requests).toHaveLength(1);

      upstream.clear();
      slowStream(400, 50);
      const gone = new AbortController();
      const alone = post(stack, prompt("alone", { stream: true }), { headers: keyed(), signal: gone.signal });
      await expect.poll(() => upstream.requests.length).toBe(1);
      gone.abort();
      await alone.catch(() => undefined);
      expect(await upstream.requests[0]?.closed).toBe(false);
    });

    test("that fails before it begins is answered as it is, and may be asked again", async () => {
      const headers = keyed();
      upstream.next(
        (exchange) => exchange.error(529),
        (exchange) => exchange.error(529),
      );
      expect((await post(stack, prompt("f", { stream: true }), { headers })).status).toBe(529);
      const again = await post(stack.other, prompt("f", { stream: true }), { headers });
      expect(streamedText(again)).toBe("echo: f");
    });
  });
});
