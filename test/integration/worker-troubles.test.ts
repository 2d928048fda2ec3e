import { afterAll, beforeAll, beforeEach, expect, inject, test } from "vitest";
import type { Outcome } from "#shared/messages/outcome.ts";
import {
  startScriptedUpstream,
  wholeAnswer,
  type Script,
  type ScriptedUpstream,
} from "../support/scripted-upstream.ts";
import { errorBody, messageBody } from "../support/wire-samples.ts";
import { makeCall, makeContext, modelName, startWorkerHarness, type WorkerHarness } from "../support/worker-harness.ts";

// What an operator is told of accounts that cannot be used: one line of the log, and the traces of calls.

let a: ScriptedUpstream;
let b: ScriptedUpstream;
let logLines: string[];

beforeAll(async () => {
  a = await startScriptedUpstream();
  b = await startScriptedUpstream();
});
afterAll(async () => {
  await a.close();
  await b.close();
});
beforeEach(() => {
  logLines = [];
  a.clear();
  b.clear();
  b.always(wholeAnswer(200, JSON.stringify(messageBody("fine"))));
});

const failing = (status: number, headers: Readonly<Record<string, string>> = {}): Script =>
  wholeAnswer(status, JSON.stringify(errorBody(status)), headers);

const start = (): Promise<WorkerHarness> =>
  startWorkerHarness({
    providers: { a: { baseUrl: a.url, apiKey: "sk-secret-of-a" }, b: b.url },
    redisUrl: inject("redisUrl"),
    logLines,
  });

const invoke = (harness: WorkerHarness): Promise<Outcome> => harness.handler.invoke(makeCall(), makeContext());

function warnings(): Record<string, unknown>[] {
  const lines = logLines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return lines.filter(({ level, provider }) => level === "warn" && provider !== undefined);
}

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

test.each([
  [401, "credential_refused", "authentication_error", "check providers.a.api_key in sluice.yaml"],
  [402, "account_exhausted", "billing_error", "the account of providers.a at the provider"],
] as const)(
  "a %i that many calls meet is one line, with the way out, and in the trace of those that come later",
  async (...row) => {
    const [status, reason, error, advice] = row;
    await using harness = await start();
    a.always(failing(status));
    const before = Date.now();
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => invoke(harness)));
    expect(new Set(outcomes.map((outcome) => outcome.provider))).toEqual(new Set(["b"]));
    expect(warnings()).toMatchObject([
      { provider: "a", model: modelName, reason, status, error, until: expect.stringMatching(instant) as string },
    ]);
    expect(warnings()[0]?.["advice"]).toContain(advice);
    expect(Date.parse(String(warnings()[0]?.["until"]))).toBeGreaterThanOrEqual(before + 60_000);
    const { notes } = await invoke(harness);
    const { outUntil } = harness.board.state("a", modelName);
    const until = new Date(outUntil).toISOString();
    expect(notes).toEqual([`plan: a ${modelName} out until ${until}: ${reason}, ${status} ${error}`]);
    expect(logLines.join("")).not.toContain("sk-secret-of-a");
  },
);

test("calls that were in flight when a breaker opened are no lines of their own", async () => {
  await using harness = await start();
  a.always(failing(503));
  await Promise.all(Array.from({ length: 40 }, () => invoke(harness)));
  expect(warnings()).toMatchObject([
    { msg: "breaker opened", reason: "overloaded", status: 503, until: expect.stringMatching(instant) as string },
  ]);
  const { notes } = await invoke(harness);
  expect(notes).toEqual([expect.stringMatching(/^plan: a \S+ broken until \S+Z: overloaded, 503 \w+$/)]);
});

test("a limit for an hour is a line, one for a moment is none; the trace has both", async () => {
  await using harness = await start();
  a.next(failing(429, { "retry-after-ms": "30000" }));
  await invoke(harness);
  expect(warnings()).toEqual([]);
  const note = /^plan: a \S+ blocked until \S+Z: rate_limited, 429 rate_limit_error$/;
  expect((await invoke(harness)).notes).toEqual([expect.stringMatching(note)]);

  await using other = await start();
  a.next(failing(429, { "retry-after": "3600" }));
  await invoke(other);
  expect(warnings()).toMatchObject([{ reason: "rate_limited", status: 429, error: "rate_limit_error" }]);
  expect((await invoke(other)).notes).toEqual([expect.stringMatching(note)]);
});
