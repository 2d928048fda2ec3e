import { beforeEach, expect, test } from "vitest";
import { decodeFact, encodeFact } from "./target-fact-codec.ts";
import { createTargetTable, openingsKeptMs, type TargetFact } from "./target-table.ts";

let now = 1_000_000;
beforeEach(() => {
  now = 1_000_000;
});
const target = { provider: "anthropic", model: "claude" };

test("of an unknown target one and the same frozen nothing is known", () => {
  const table = createTargetTable(() => now);
  expect(table.state("a", "b")).toBe(table.state("c", "d"));
  expect(table.state("a", "b")).toMatchObject({ blockedUntil: 0, outUntil: 0, breakerOpenings: 0, probing: false });
});

test("a block only extends", () => {
  const table = createTargetTable(() => now);
  table.apply({ kind: "block", ...target, until: now + 500 });
  table.apply({ kind: "block", ...target, until: now + 100 });
  expect(table.state("anthropic", "claude").blockedUntil).toBe(now + 500);
});

test("a provider that is out takes all its targets with it, known or not", () => {
  const table = createTargetTable(() => now);
  table.apply({ kind: "block", ...target, until: now + 500 });
  table.apply({ kind: "out", provider: "anthropic", model: undefined, until: now + 100, reason: "exhausted" });
  expect(table.state("anthropic", "claude")).toMatchObject({ outUntil: now + 100, outReason: "exhausted" });
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
  table.apply({ kind: "block", provider: "second", model: "claude", until: now + 1000 });
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
  { kind: "block", provider: "p", model: "us.anthropic.claude-v1:0", until: 5 },
  { kind: "out", provider: "p", model: undefined, until: 5, reason: "credential" },
  { kind: "out", provider: "p", model: "m", until: 5, reason: "exhausted" },
  { kind: "breaker", provider: "p", model: "m", until: 5, openings: 3 },
  { kind: "breaker", provider: "p", model: "m", until: 0, openings: 0 },
  { kind: "probe", provider: "p", model: "m", until: 5 },
])("a fact is read as it was written: %j", (fact) => {
  expect(decodeFact(encodeFact(fact))).toEqual(fact);
});

test("what another version wrote is passed over", () => {
  expect(decodeFact({ field: "mood\np\nm", value: "5" })).toBeUndefined();
  expect(decodeFact({ field: "block", value: "5" })).toBeUndefined();
  expect(decodeFact({ field: "block\np\nm", value: "soon" })).toBeUndefined();
});
