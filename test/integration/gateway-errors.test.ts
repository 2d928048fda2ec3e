import { connect } from "node:net";
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { answerWhole, ask, bedKeys, startGatewayBed, wholeOutcome, type GatewayBed } from "../support/gateway-bed.ts";
import { expectError } from "../support/expect-error.ts";
import { useGatewayBed } from "../support/use-gateway-bed.ts";
import { errorBody } from "../support/wire-samples.ts";

const bed = await useGatewayBed();

const post = (path: string, body: unknown, headers?: Record<string, string>): Promise<Response> =>
  bed.post(path, body, headers);
const get = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${bed.url}${path}`, { headers: { "x-api-key": bedKeys.key }, ...init });

describe("no or wrong key: 401 authentication_error", () => {
  test.each<[string, Record<string, string>, RegExp]>([
    ["nothing", { "x-api-key": "" }, /x-api-key header is required/],
    ["a wrong x-api-key", { "x-api-key": "wrong" }, /^invalid x-api-key$/],
    ["a wrong bearer", { "x-api-key": "", authorization: "Bearer wrong" }, /bearer token in the authorization/],
    [
      "a wrong x-api-key beside a right bearer",
      { "x-api-key": "wrong", authorization: `Bearer ${bedKeys.key}` },
      /authorization header came too/,
    ],
    ["an expired key", { "x-api-key": "sk-expired" }, /^expired x-api-key/],
    ["a disabled key", { "x-api-key": "sk-disabled" }, /^disabled x-api-key/],
  ])("%s", async (_name, headers, message) => {
    const response = await post("/v1/messages", ask(), headers);
    await expectError(response, { status: 401, type: "authentication_error", message });
  });

  test("an unknown path is a 401 for strangers", async () => {
    const response = await get("/v1/nothing", { headers: {} });
    await expectError(response, { status: 401, type: "authentication_error" });
  });

  test("a key is never repeated in an answer or in the log", async () => {
    const response = await post("/v1/messages", ask(), { "x-api-key": "sk-do-not-repeat" });
    expect(await response.text()).not.toContain("sk-do-not-repeat");
    expect(bed.lines.join("\n")).not.toContain("sk-do-not-repeat");
    expect(bed.lines.join("\n")).not.toContain(bedKeys.key);
  });

  test("comes before a byte of the body is asked for", async () => {
    const head = `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: wrong\r\ncontent-length: 1000000\r\n`;
    expect(await rawAnswer(`${head}expect: 100-continue\r\n\r\n`)).toMatch(/^HTTP\/1.1 401 /);
  });
});

test("a body that waits to be wanted is asked for once its caller is known", async () => {
  const body = JSON.stringify(ask());
  const head = `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${bedKeys.key}\r\ncontent-length: ${body.length}\r\n`;
  expect(await rawAnswer(`${head}expect: 100-continue\r\n\r\n${body}`)).toMatch(
    /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /,
  );
});

describe("the two forms of a key", () => {
  test("a bearer is taken beside an empty x-api-key", async () => {
    const response = await post("/v1/messages", ask(), { "x-api-key": "", authorization: `Bearer ${bedKeys.key}` });
    expect(response.status).toBe(200);
  });
});

describe("models", () => {
  const list = " (GET /v1/models lists what this key may use)";

  test("a key that may not use the model: 403 permission_error", async () => {
    const response = await post("/v1/messages", ask({ model: "claude-haiku-4-5" }), { "x-api-key": bedKeys.opusKey });
    await expectError(response, { status: 403, type: "permission_error" });
  });

  test("a fallback that the key may not use: 403 permission_error", async () => {
    const body = ask({ fallbacks: [{ model: "claude-haiku-4-5" }] });
    const response = await post("/v1/messages", body, { "x-api-key": bedKeys.opusKey });
    await expectError(response, { status: 403, type: "permission_error" });
  });

  test("a wished model that the key may not use: 403 permission_error", async () => {
    const body = ask({ providerOptions: { gateway: { models: ["claude-haiku-4-5"] } } });
    const response = await post("/v1/messages", body, { "x-api-key": bedKeys.opusKey });
    await expectError(response, { status: 403, type: "permission_error" });
  });

  test("an unknown model: 404 not_found_error", async () => {
    const response = await post("/v1/messages", ask({ model: "gpt-9" }));
    await expectError(response, { status: 404, type: "not_found_error", message: `model: gpt-9${list}` });
  });

  test("an unknown name near to one that the key may use: the 404 and the 400 tell it, and no other", async () => {
    const response = await post("/v1/messages", ask({ model: "claude-hiaku-4-5" }));
    const guess = "claude-hiaku-4-5 (did you mean `claude-haiku-4-5`?)";
    await expectError(response, { status: 404, type: "not_found_error", message: `model: ${guess}` });
    await expectError(await get("/v1/models/claude-hiaku-4-5"), {
      status: 404,
      type: "not_found_error",
      message: /haiku/,
    });
    const headers = { "x-api-key": bedKeys.opusKey };
    const limited = await post("/v1/messages", ask({ model: "claude-hiaku-4-5" }), headers);
    await expectError(limited, { status: 404, type: "not_found_error", message: `model: claude-hiaku-4-5${list}` });
  });

  test.each(["/anthropic", "/ai-gateway/anthropic"])("unknown under %s: 400", async (prefix) => {
    const response = await post(`${prefix}/v1/messages`, ask({ model: "gpt-9" }));
    await expectError(response, {
      status: 400,
      type: "invalid_request_error",
      message: `unknown model "gpt-9"${list}`,
    });
  });

  test.each(["/anthropic", "/ai-gateway/anthropic"])("known, but not Claude, under %s: 400", async (prefix) => {
    const response = await post(`${prefix}/v1/messages`, ask({ model: "other-1" }));
    const message = 'model "other-1" is not available on this endpoint';
    await expectError(response, { status: 400, type: "invalid_request_error", message });
  });
});

describe("bodies: 400 invalid_request_error, naming the member", () => {
  test.each<[string, unknown, RegExp]>([
    ["max_tokens missing", { model: "claude-opus-4-8", messages: [] }, /^max_tokens: Field required/],
    ["messages missing", { model: "claude-opus-4-8", max_tokens: 1 }, /^messages: Field required/],
    ["model missing", { max_tokens: 1, messages: [] }, /^model: Field required/],
    ["bad JSON", '{"model":', /JSON/],
    ["nothing at all", "", /./],
    ["a doubled member", '{"model":"a","model":"b","max_tokens":1,"messages":[]}', /model/],
    ["a doubled member in another case", '{"model":"a","Model":"b","max_tokens":1,"messages":[]}', /odel/],
  ])("%s", async (_name, body, message) => {
    await expectError(await post("/v1/messages", body), { status: 400, type: "invalid_request_error", message });
  });

  test("a count needs no max_tokens", async () => {
    const body = { model: "claude-opus-4-8", messages: [] };
    const response = await post("/v1/messages/count_tokens", body);
    expect(await response.json()).toEqual({ input_tokens: 7 });
  });

  test("a content type that is none is taken as what it is: a body", async () => {
    const response = await post("/v1/messages", ask(), { "content-type": "nonsense" });
    expect(response.status).toBe(200);
  });

  test("an encoding we do not take: 400 with details.error_code", async () => {
    const response = await post("/v1/messages", ask(), { "content-encoding": "gzip" });
    const body = await expectError(response, { status: 400, type: "invalid_request_error" });
    expect(body.error.details).toEqual({ error_code: "request_body_encoding_unsupported" });
  });

  test("a wait that cannot be read: 400, naming the header", async () => {
    const response = await post("/v1/messages", ask(), { "x-sluice-max-wait": "soon" });
    await expectError(response, { status: 400, type: "invalid_request_error", message: /^x-sluice-max-wait/ });
  });
});

describe("the key's own limits: 429 rate_limit_error with retry-after", () => {
  test("calls a minute", async () => {
    const headers = { "x-api-key": bedKeys.slowKey };
    for (let call = 0; call < 2; call++) expect((await post("/v1/messages", ask(), headers)).status).toBe(200);
    const response = await post("/v1/messages", ask(), headers);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    await expectError(response, { status: 429, type: "rate_limit_error", message: /2 calls per minute/ });
  });

  test("calls at a time, and the place is free again afterwards", async () => {
    const gate = Promise.withResolvers<void>();
    bed.script.invoke = async (call, context) => {
      await gate.promise;
      return answerWhole(call, context);
    };
    const headers = { "x-api-key": "sk-single" };
    const first = post("/v1/messages", ask(), headers);
    await expect.poll(() => bed.worker?.calls).toBe(1);
    const second = await post("/v1/messages", ask(), headers);
    expect(second.headers.get("retry-after")).not.toBeNull();
    await expectError(second, { status: 429, type: "rate_limit_error", message: /1 calls at a time/ });
    gate.resolve();
    expect((await first).status).toBe(200);
    await expect.poll(async () => (await post("/v1/messages", ask(), headers)).status).toBe(200);
  });
});

describe("what a worker's outcome says is passed on as it is", () => {
  const fails = (error: GatewayError): void => {
    bed.script.invoke = (call) => Promise.resolve(errorOutcome(error, call.head.id));
  };

  test("every target limited: 429 with retry-after, and x-should-retry: false beyond a minute", async () => {
    fails(new GatewayError("rate_limited", "limited", { retryAfterS: 90, shouldRetry: false }));
    const response = await post("/v1/messages", ask());
    expect(response.headers.get("retry-after")).toBe("90");
    expect(response.headers.get("x-should-retry")).toBe("false");
    await expectError(response, { status: 429, type: "rate_limit_error" });
  });

  test("every target overloaded or unreachable: 529 with retry-after", async () => {
    fails(new GatewayError("overloaded", "overloaded", { retryAfterS: 5 }));
    const response = await post("/v1/messages", ask());
    expect(response.headers.get("retry-after")).toBe("5");
    await expectError(response, { status: 529, type: "overloaded_error" });
  });

  test("the gateway's own account refused: 502 api_error, not to be tried again", async () => {
    fails(new GatewayError("upstream_refused", "refused", { shouldRetry: false }));
    const response = await post("/v1/messages", ask());
    expect(response.headers.get("x-should-retry")).toBe("false");
    await expectError(response, { status: 502, type: "api_error" });
  });

  test("an upstream 4xx that is the caller's doing: status, body and request-id as they came", async () => {
    const upstream = errorBody(422, { message: "no such thing", details: { a: 1 }, requestId: "req_up_9" });
    bed.script.invoke = () =>
      Promise.resolve(
        wholeOutcome(upstream, {
          code: "upstream",
          status: 422,
          headers: { "content-type": "application/json", "request-id": "req_up_9" },
        }),
      );
    const response = await post("/v1/messages", ask());
    expect(response.headers.get("request-id")).toBe("req_up_9");
    expect([response.status, await response.json()]).toEqual([422, upstream]);
  });

  test("time is up: 504 timeout_error, not to be tried again", async () => {
    bed.script.invoke = (_call, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
    const response = await post("/v1/messages", ask(), { "x-stainless-timeout": "1" });
    expect(response.headers.get("x-should-retry")).toBe("false");
    await expectError(response, { status: 504, type: "timeout_error" });
  });
});

describe("bodies that are too much", () => {
  let small: GatewayBed;
  beforeAll(async () => {
    small = await startGatewayBed({ config: { server: { max_body_bytes: 200_000, body_budget_bytes: 250_000 } } });
  });
  afterAll(() => small.close());

  test("declared too large: 413 request_too_large, unread", async () => {
    const response = await small.post("/v1/messages", "x".repeat(300_000));
    await expectError(response, { status: 413, type: "request_too_large" });
  });

  test("too large without a declaration: 413 request_too_large", async () => {
    const response = await chunked(small, 300_000);
    expect(response).toMatchObject({ status: 413, body: expect.stringMatching(/request_too_large/) });
  });

  test("more bytes than the gateway holds: 529 overloaded_error with retry-after: 1", async () => {
    const gate = Promise.withResolvers<void>();
    small.script.invoke = async (call, context) => {
      await gate.promise;
      return answerWhole(call, context);
    };
    const large = ask({ system: "x".repeat(150_000) });
    const first = small.post("/v1/messages", large);
    await expect.poll(() => small.worker?.calls).toBe(1);
    const second = await small.post("/v1/messages", large);
    expect(second.headers.get("retry-after")).toBe("1");
    await expectError(second, { status: 529, type: "overloaded_error" });
    gate.resolve();
    expect((await first).status).toBe(200);
    small.script.invoke = answerWhole;
    expect((await small.post("/v1/messages", large)).status).toBe(200);
  });

  test("too slow: 408 timeout_error", async () => {
    await using impatient = await startGatewayBed({ config: { server: { body_timeout: "1s" } } });
    const head = `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${bedKeys.key}\r\ncontent-length: 100\r\n\r\n{`;
    const answer = await rawAnswer(head, impatient);
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(answer).toContain("timeout_error");
    expect(answer.toLowerCase()).toContain("connection: close");
  });
});

describe("more calls than the gateway carries", () => {
  test("529 overloaded_error with retry-after: 1, and calls in hand go on", async () => {
    await using full = await startGatewayBed({ config: { server: { max_waiting: 1 } } });
    const gate = Promise.withResolvers<void>();
    full.script.invoke = async (call, context) => {
      await gate.promise;
      return answerWhole(call, context);
    };
    const first = full.post("/v1/messages", ask());
    await expect.poll(() => full.worker?.calls).toBe(1);
    const second = await full.post("/v1/messages", ask());
    expect(second.headers.get("retry-after")).toBe("1");
    await expectError(second, { status: 529, type: "overloaded_error" });
    gate.resolve();
    expect((await first).status).toBe(200);
  });
});

describe("what is not HTTP", () => {
  test("gets a 400 in the envelope", async () => {
    const answer = await rawAnswer("NONSENSE\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).toMatch(/request-id: call_/);
    expect(answer).toContain("invalid_request_error");
  });

  test("headers that are too large get a 431", async () => {
    const answer = await rawAnswer(`GET / HTTP/1.1\r\nhost: x\r\na: ${"x".repeat(100_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 431 /);
    expect(answer).toContain("invalid_request_error");
  });

  test("gets its answer on a connection that has had answers before, too", async () => {
    const good = `GET /v1/models/claude-opus-4-8 HTTP/1.1\r\nhost: x\r\nx-api-key: ${bedKeys.key}\r\n\r\n`;
    const answers = await rawAnswers([good, "NONSENSE\r\n\r\n"]);
    expect(answers.map((answer) => answer.slice(0, 12))).toEqual(["HTTP/1.1 200", "HTTP/1.1 400"]);
    expect(answers[1]).toContain("invalid_request_error");
  });
});

test.each([
  ["without a host", ""],
  ["with an expectation we do not know", "host: x\r\nexpect: 200-ok\r\n"],
])("a request %s gets an ordinary answer", async (_name, headers) => {
  const answer = await rawAnswer(`GET /v1/nothing HTTP/1.1\r\n${headers}x-api-key: ${bedKeys.key}\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1.1 404 /);
  expect(answer).toMatch(/request-id: call_/);
  expect(answer).toContain("not_found_error");
});

/** What the gateway answers to bytes as they are, up to the end of the connection or of an answer's body. */
async function rawAnswer(bytes: string, to: GatewayBed = bed): Promise<string> {
  const [answer] = await rawAnswers([bytes], to);
  return answer ?? "";
}

/** The same for several on one connection, each sent after the answer to the one before. */
function rawAnswers(requests: readonly string[], to: GatewayBed = bed): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const answers = [""];
    const socket = connect(Number(new URL(to.url).port), "127.0.0.1", () => socket.write(requests[0] ?? ""));
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      const answer = (answers.pop() ?? "") + text;
      answers.push(answer);
      if (!answer.endsWith("}")) return;
      const next = requests[answers.length];
      if (next === undefined) {
        socket.destroy();
        return;
      }
      answers.push("");
      socket.write(next);
    });
    socket.on("error", reject).on("close", () => resolve(answers));
  });
}

function chunked(to: GatewayBed, bytes: number): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { "x-api-key": bedKeys.key, "transfer-encoding": "chunked" };
    const sent = httpRequest(`${to.url}/v1/messages`, { method: "POST", headers }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => (body += text));
      response.on("end", () => resolve({ status: response.statusCode, body }));
    });
    sent.on("error", reject);
    sent.end("x".repeat(bytes));
  });
}
