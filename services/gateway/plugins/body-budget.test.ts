import { expect, test } from "vitest";
import { createBodyBudget } from "./body-budget.ts";

test("bytes are taken up to the budget and not beyond", () => {
  const budget = createBodyBudget(100);
  expect(budget.take(60)).toBe(true);
  expect(budget.take(41)).toBe(false);
  expect(budget.take(40)).toBe(true);
  expect(budget.taken).toBe(100);
});

test("bytes given back can be taken again", () => {
  const budget = createBodyBudget(100);
  budget.take(100);
  budget.give(30);
  expect(budget.take(30)).toBe(true);
});
