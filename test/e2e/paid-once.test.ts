import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, describe, expect, test } from "vitest";

import { bestOf } from "../support/best-of.ts";
import { get, post, prompt, sdk, streamedText, type Answered } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import { echo, startUpstream, type Exchange, type Handler } from "../support/upstream.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";
import { blockStart, messageStart, streamEnd, textDelta } from "../support/wire-samples.ts";

// Calls that are asked for more than once and made once. Two gateways: the second request goes to the other one.

/** How long a call goes on for nobody. */
const lingerMs = 4000;

const upstream = await useUpstream();
/** Another provider, for tests that wait side by side: it does what each of them says of its own prompt. */
const patient = await startUpstream();
afterAll(() => patient.close());
const handlers = new Map<string, Handler>();
patient.onRequest((exchange) => (handlers.get(exchange.request.prompt) ?? echo)(exchange));
const stack = await useStack({
  upstreams: [upstream],
  gateways: 2,
  config: {
    queue: { linger: `${lingerMs}ms` },
    providers: { patient: { type: "anthropic", base_url: patient.url, api_key: "patient" } },
    models: { "claude-opus-4-8": { routes: ["one"] }, "claude-patient": { routes: ["patient"] } },
  },
});

const retry = { "x-stainless-retry-count": "1" };

interface Held {
  readonly held: Exchange[];
  /** Answers all of them. */
  release(): void;
}

/** Whole calls are answered when their time has come: of one prompt at the patient provider, else every one. */
function holdAnswers(text?: string): Held {
  const held: Exchange[] = [];
  const hold: Handler = (exchange) => void held.push(exchange);
  if (text === undefined) upstream.onRequest(hold);
  else handlers.set(text, hold);
  return {
    held,
    release: () => {
      for (const exchange of held.splice(0)) exchange.message(`answer to ${exchange.request.prompt}`);
    },
  };
}

/** A stream's deltas one after the other, as fast as it is let. */
function slowly(deltas: number, everyMs: number): Handler {
  return async ({ request, openStream }) => {
    const response = openStream();
    response.write(messageStart() + blockStart());
    for (let delta = 0; delta < deltas; delta++) {
      await sleep(everyMs);
      response.write(textDelta(`${request.prompt} ${delta} `));
    }
    response.end(streamEnd());
  };
}

const joinedBy = ({ headers }: Answered): string | undefined => headers.get("x-sluice-joined")?.split(" ")[0];

describe("an SDK's retry", () => {
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
});

/** A caller leaves: how long it takes until its provider's socket is closed. */
async function leave(body: object, { held }: Held, path = "/v1/messages"): Promise<number> {
  const leaving = new AbortController();
  const call = post(stack, body, { path, signal: leaving.signal }).catch(() => "left");
  await eventually(() => expect(held).toHaveLength(1));
  const leftAt = performance.now();
  leaving.abort();
  await call;
  expect(await held[0]?.request.closed).toBe(false);
  return performance.now() - leftAt;
}

test("a count is cancelled at once, and joined by nobody", async () => {
  const path = "/v1/messages/count_tokens";
  expect(await bestOf(3, () => leave(prompt("count"), holdAnswers(), path), 2000)).toBeLessThan(2000);
});

const keyed = (key: string = randomUUID()): Readonly<Record<string, string>> => ({ "idempotency-key": key });

describe("an idempotency key", () => {
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
    test("replays a finished one, byte for byte", async () => {
      upstream.onRequest(slowly(20, 5));
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
      upstream.onRequest(slowly(30, 50));
      const headers = keyed();
      const first = post(stack, prompt("r", { stream: true }), { headers });
      await sleep(700);
      const second = post(stack.other, prompt("r", { stream: true }), { headers });
      const [one, two] = await Promise.all([first, second]);
      expect(streamedText(one)).toMatch(/^r 0 .* r 29 $/);
      expect(two.text).toBe(one.text);
      expect(upstream.requests).toHaveLength(1);
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

// Each of these takes as long as a call goes on for nobody: they wait side by side.
describe.concurrent("a caller that leaves", () => {
  const ask = (text: string, more: object = {}): object => prompt(text, { model: "claude-patient", ...more });

  test("may be followed by a retry, which joins the call at another gateway", async () => {
    const { held, release } = holdAnswers("left");
    const leaving = new AbortController();
    const first = post(stack, ask("left"), { signal: leaving.signal }).catch(() => "left");
    await eventually(() => expect(held).toHaveLength(1));
    leaving.abort();
    expect(await first).toBe("left");
    const second = post(stack.other, ask("left"), { headers: retry });
    // Past the time that a call goes on for nobody.
    await sleep(lingerMs);
    release();
    const answer = await second;
    expect(answer.status).toBe(200);
    expect(answer.text).toContain("answer to left");
    expect(joinedBy(answer)).toBe("joined");
    expect(patient.with("left")).toHaveLength(1);
  });

  test("takes nothing from those who wait for the same call: both have the answer, and either may leave", async () => {
    const { held, release } = holdAnswers("shared");
    const first = post(stack, ask("shared"));
    await eventually(() => expect(held).toHaveLength(1));
    const leaving = new AbortController();
    const gone = post(stack.other, ask("shared"), { headers: retry, signal: leaving.signal }).catch(() => "left");
    const here = post(stack, ask("shared"), { headers: retry });
    await sleep(300);
    leaving.abort();
    expect(await gone).toBe("left");
    await sleep(lingerMs + 500);
    release();
    const answers = await Promise.all([first, here]);
    for (const { status, text } of answers) {
      expect(status).toBe(200);
      expect(text).toContain("answer to shared");
    }
    expect(answers.map(joinedBy)).toEqual([undefined, "joined"]);
    expect(patient.with("shared")).toHaveLength(1);
  });

  test("and whom nobody follows: its call is cancelled to the provider's socket, after that time", async () => {
    const tookMs = await bestOf(
      3,
      (round) => leave(ask(`nobody ${round}`), holdAnswers(`nobody ${round}`)),
      lingerMs + 3000,
    );
    expect(tookMs).toBeGreaterThan(lingerMs - 200);
    expect(tookMs).toBeLessThan(lingerMs + 3000);
    handlers.delete("nobody 0");
    const again = await post(stack.other, ask("nobody 0"), { headers: retry });
    expect(joinedBy(again)).toBeUndefined();
    expect(again.text).toContain("echo: nobody 0");
  });

  test("and whom nobody follows: its idempotency key is free again", async () => {
    const headers = keyed();
    const { held } = holdAnswers("given up");
    const leaving = new AbortController();
    const call = post(stack, ask("given up"), { headers, signal: leaving.signal }).catch(() => "left");
    await eventually(() => expect(held).toHaveLength(1));
    leaving.abort();
    await call;
    expect(await held[0]?.request.closed).toBe(false);
    handlers.delete("given up");
    await eventually(async () =>
      expect((await post(stack.other, ask("given up"), { headers })).text).toContain("echo: given up"),
    );
  });

  test("leaves a stream to the one who joined it by its key; it ends when nobody is left", async () => {
    handlers.set("l", slowly(80, 50));
    const headers = keyed();
    const leaving = new AbortController();
    const first = post(stack, ask("l", { stream: true }), { headers, signal: leaving.signal }).catch(() => "left");
    await sleep(500);
    const second = post(stack.other, ask("l", { stream: true }), { headers });
    await sleep(300);
    leaving.abort();
    expect(await first).toBe("left");
    expect(streamedText(await second)).toMatch(/^l 0 .* l 79 $/);
    expect(patient.with("l")).toHaveLength(1);

    handlers.set("alone", slowly(400, 50));
    const gone = new AbortController();
    const alone = post(stack, ask("alone", { stream: true }), { headers: keyed(), signal: gone.signal });
    await eventually(() => expect(patient.with("alone")).toHaveLength(1));
    gone.abort();
    await alone.catch(() => undefined);
    expect(await patient.with("alone")[0]?.closed).toBe(false);
  });

  test("is what the official SDK is when its own time is up, before it asks again", async () => {
    // The SDK gives up after three seconds, waits a little, and asks again; it names them as the call's deadline, so that
    // its leaving and the end of the call come at the same time.
    const askTwice = async (round: number): Promise<number> => {
      const content = `by the sdk ${round}`;
      const { held, release } = holdAnswers(content);
      let asked = 0;
      const client = sdk(stack, { maxRetries: 1, timeout: 3000 }).withOptions({
        fetch: (url, init) => {
          asked += 1;
          return fetch(url, init);
        },
      });
      const answer = client.messages
        .create({ model: "claude-patient", max_tokens: 16, messages: [{ role: "user", content }] })
        .catch(() => undefined);
      await eventually(() => expect(asked).toBe(2));
      await eventually(() => expect(held.length).toBeGreaterThan(0));
      await sleep(500);
      release();
      const [block] = (await answer)?.content ?? [];
      const isAnswered = block?.type === "text" && block.text === `answer to ${content}`;
      return isAnswered ? patient.with(content).length : Infinity;
    };
    expect(await bestOf(3, askTwice, 1)).toBe(1);
  });
});
