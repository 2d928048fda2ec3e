import { beforeEach, expect, test } from "vitest";
import { decodeFact, encodeFact } from "./target-fact-codec.ts";
import type { TargetCause } from "./target-cause.ts";
import { createTargetTable, openingsKeptMs, type TargetFact } from "./target-table.ts";

let now = 1_000_000;
beforeEach(() => {
  now = 1_000_000;
});
const limited: TargetCause = { reason: "rate_limited", status: 429, error: "quota of the day" };
const exhausted: TargetCause = { reason: "account_exhausted", status: 400, error: "invalid_request_error" };
const refused: TargetCause = { reason: "credential_refused" };
const target = { provider: "anthropic", model: "claude" };

test("of an unknown target one and the same frozen nothing is known", () => {
  const table = createTargetTable(() => now);
  expect(table.state("a", "b")).toBe(table.state("c", "d"));
  expect(table.state("a", "b")).toMatchObject({ blockedUntil: 0, outUntil: 0, breakerOpenings: 0, probing: false });
});

test("a block only extends", () => {
  const table = createTargetTable(() => now);
  table.apply({ kind: "block", ...target, until: now + 500, cause: limited });
  table.apply({ kind: "block", ...target, until: now + 100, cause: limited });
  expect(table.state("anthropic", "claude").blockedUntil).toBe(now + 500);
});

test("a provider that is out takes all its targets with it, known or not", () => {
  const table = createTargetTable(() => now);
  table.apply({ kind: "block", ...target, until: now + 500, cause: limited });
  table.apply({ kind: "out", provider: "anthropic", model: undefined, until: now + 100, cause: exhausted });
  expect(table.state("anthropic", "claude")).toMatchObject({ outUntil: now + 100, outCause: exhausted });
  expect(table.state("anthropic", "other")).toMatchObject({ outUntil: now + 100, blockedUntil: 0 });
  expect(table.state("second", "claude").outUntil).toBe(0);
});

test("a closed breaker has never been open", () => {
  const table = createTargetTable(() => now);
  table.apply({ kind: "breaker", ...target, until: now + 500, openings: 2 });
  expect(table.state("anthropic", "claude")).toMatchObject({ breakerUntil: now + 500, breakerOpenings: 2 });
  table.apply({ kind: "breaker", ...target, until: 0, openings: 0 });
  expect(table.state("anthropic", "claude")).toMatchObject({ breakerUntil: 0, breakerOpenings: 0 });
});

test("a probe is on its way until its time is over or it is ended", () => {
  const table = createTargetTable(() => now);
  const probing = () => table.state("anthropic", "claude").probing;
  table.apply({ kind: "probe", ...target, until: now + 1000 });
  expect(probing()).toBe(true);
  now += 1001;
  expect(probing()).toBe(false);
  table.apply({ kind: "probe", ...target, until: now + 1000 });
  table.apply({ kind: "probe", ...target, until: 0 });
  expect(probing()).toBe(false);
});

test("what is over is forgotten, an opening only after it has stopped counting", () => {
  const table = createTargetTable(() => now);
  table.apply({ kind: "block", provider: "second", model: "claude", until: now + 1000, cause: limited });
  table.apply({ kind: "breaker", ...target, until: now + 1000, openings: 1 });
  expect(table.facts()).toHaveLength(2);
  now += 2000;
  table.sweep();
  expect(table.facts()).toEqual([{ kind: "breaker", ...target, until: now - 1000, openings: 1 }]);
  now += openingsKeptMs;
  table.sweep();
  expect(table.state("anthropic", "claude")).toBe(table.state("nobody", "nothing"));
});

test.each<TargetFact>([
  { kind: "block", provider: "p", model: "us.anthropic.claude-v1:0", until: 5, cause: limited },
  { kind: "out", provider: "p", model: undefined, until: 5, cause: refused },
  { kind: "out", provider: "p", model: "m", until: 5, cause: exhausted },
  { kind: "breaker", provider: "p", model: "m", until: 5, openings: 3, cause: { reason: "overloaded", status: 529 } },
  {
    kind: "breaker",
    provider: "p",
    model: "m",
    until: 5,
    openings: 3,
    cause: { reason: "reset", error: "ECONNRESET" },
  },
  { kind: "breaker", provider: "p", model: "m", until: 0, openings: 0 },
  { kind: "probe", provider: "p", model: "m", until: 5 },
])("a fact is read as it was written: %j", (fact) => {
  expect(decodeFact(encodeFact(fact))).toEqual(fact);
});

test("a cause goes with the time that it made, and away with it", () => {
  const table = createTargetTable(() => now);
  const state = table.state;
  table.apply({ kind: "block", ...target, until: now + 500, cause: limited });
  table.apply({ kind: "block", ...target, until: now + 100, cause: { reason: "rate_limited" } });
  expect(state("anthropic", "claude").blockedCause).toBe(limited);
  table.apply({ kind: "out", provider: "anthropic", model: undefined, until: now + 900, cause: exhausted });
  table.apply({ kind: "out", ...target, until: now + 100, cause: refused });
  expect(state("anthropic", "claude").outCause).toBe(exhausted);
  table.apply({ kind: "breaker", ...target, until: now + 500, openings: 1, cause: refused });
  expect(state("anthropic", "claude").breakerCause).toBe(refused);
  table.apply({ kind: "breaker", ...target, until: 0, openings: 0 });
  expect(state("anthropic", "claude").breakerCause).toBeUndefined();
});

test("a process that knows of no causes reads the same times, openings and accounts as before", () => {
  const breaker = { kind: "breaker", ...target, until: 5, openings: 3, cause: refused } as const;
  expect(encodeFact(breaker).value.split("\n").slice(0, 2)).toEqual(["5", "3"]);
  expect(encodeFact({ kind: "out", ...target, until: 5, cause: exhausted }).value).toMatch(/^5\nexhausted\n/);
  expect(encodeFact({ kind: "block", ...target, until: 5, cause: limited }).value).toMatch(/^5\n/);
});

test("an error is kept on one line, and no longer than a word or two", () => {
  const error = `one\ntwo ${"x".repeat(500)}`;
  const fact = { kind: "block", ...target, until: 5, cause: { reason: "rate_limited", error } } as const;
  const { value } = encodeFact(fact);
  expect(value.split("\n")).toHaveLength(2);
  expect(value.length).toBeLessThan(100);
});

test("what another version wrote is passed over", () => {
  expect(decodeFact({ field: "mood\np\nm", value: "5" })).toBeUndefined();
  expect(decodeFact({ field: "block", value: "5" })).toBeUndefined();
  expect(decodeFact({ field: "block\np\nm", value: "soon" })).toBeUndefined();
});
