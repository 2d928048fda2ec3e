import { expect, test } from "vitest";
import { createBetaMemory } from "./beta-memory.ts";

const target = { provider: "aws", model: "m" };
const hourMs = 3_600_000;

test("a refused flag is known for an hour, of its target only", () => {
  const memory = createBetaMemory();
  memory.remember(target, ["a-1"], 0);
  memory.remember(target, ["b-1"], 10);
  expect(memory.refused(target, hourMs - 1)).toEqual(new Set(["a-1", "b-1"]));
  expect(memory.refused({ ...target, model: "other" }, 1)).toBeUndefined();
  expect(memory.refused(target, hourMs)).toEqual(new Set(["b-1"]));
  expect(memory.refused(target, hourMs + 10)).toBeUndefined();
});

test("a target that names ever new flags does not fill the memory", () => {
  const memory = createBetaMemory();
  for (let i = 0; i < 1_000; i++) memory.remember(target, [`flag-${i}`], 0);
  expect(memory.refused(target, 1)?.size).toBe(64);
});
