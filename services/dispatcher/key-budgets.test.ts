import { expect, test } from "vitest";
import { createKeyBudgets } from "./key-budgets.ts";

const day = { usd: 1, per: "day" } as const;
const month = { usd: 2, per: "month" } as const;

test("a budget is found by whose it is: a key's, or every subject's of an issuer", () => {
  const budgets = createKeyBudgets({
    keys: [{ name: "ci", budget: day }, { name: "free" }],
    oidc: [{ name: "ci", budget: month }],
  });
  expect(budgets.find("key:ci")).toBe(day);
  expect(budgets.find("key:free")).toBeUndefined();
  expect(budgets.find("key:gone")).toBeUndefined();
  expect(budgets.find("oidc:ci:repo:acme/widgets:main")).toBe(month);
  expect(budgets.find("oidc:cid:repo")).toBeUndefined();
});

test("changed config is taken over whole", () => {
  const budgets = createKeyBudgets({ keys: [{ name: "a", budget: day }], oidc: [] });
  budgets.replace({ keys: [{ name: "b", budget: month }], oidc: [] });
  expect([budgets.find("key:a"), budgets.find("key:b")]).toEqual([undefined, month]);
});
