import { describe, expect, test } from "vitest";
import { pageModels, type ModelInfo, type ModelPageQuery } from "./model-info.ts";

const models: readonly ModelInfo[] = Array.from({ length: 30 }, (_, index) => ({
  id: `m${index}`,
  type: "model",
  display_name: `Model ${index}`,
  created_at: "1970-01-01T00:00:00Z",
  max_input_tokens: null,
  max_tokens: null,
  line: null,
  lifecycle: "active",
  deprecated_at: null,
  retires_at: null,
  capabilities: null,
}));

function page(query: ModelPageQuery): [number, string | null, string | null, boolean] {
  const { data, first_id: first, last_id: last, has_more: more } = pageModels(models, query);
  return [data.length, first, last, more];
}

test("pages are cut by limit and cursors", () => {
  expect(page({})).toEqual([20, "m0", "m19", true]);
  expect(page({ limit: 1000 })).toEqual([30, "m0", "m29", false]);
  expect(page({ after_id: "m19" })).toEqual([10, "m20", "m29", false]);
  expect(page({ limit: 5, before_id: "m10" })).toEqual([5, "m5", "m9", true]);
  expect(page({ before_id: "m3" })).toEqual([3, "m0", "m2", false]);
  expect(page({ after_id: "m29" })).toEqual([0, null, null, false]);
});

describe("a page is refused with", () => {
  test.each([
    [{ limit: 0 }, "limit: "],
    [{ limit: 1001 }, "limit: "],
    [{ limit: Number.NaN }, "limit: "],
    [{ after_id: "x" }, "after_id: "],
    [{ before_id: "x" }, "before_id: "],
    [{ after_id: "m1", before_id: "m2" }, "after_id: "],
  ])("%j", (query, message) => {
    expect(() => pageModels(models, query)).toThrow(message);
  });
});
