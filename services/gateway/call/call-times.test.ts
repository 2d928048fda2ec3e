import { describe, expect, test } from "vitest";
import { readCallTimes } from "./call-times.ts";

const at = 1_000_000;
const deadlineS = (header: string | undefined): number =>
  (readCallTimes(header === undefined ? {} : { "x-stainless-timeout": header }, false, at).deadlineAt - at) / 1000;
const waitMs = (headers: Record<string, string>, stream = false): number =>
  readCallTimes(headers, stream, at).waitUntil - at;

describe("the deadline", () => {
  test.each([
    [undefined, 600],
    ["", 600],
    ["nonsense", 600],
    ["30", 30],
    ["0", 1],
    ["0.2", 1],
    ["7200", 3600],
    ["-5", 1],
  ])("x-stainless-timeout %j gives %d s", (header, expected) => {
    expect(deadlineS(header)).toBe(expected);
  });
});

describe("the time to wait for capacity", () => {
  test("is a minute for whole answers, at most half the deadline", () => {
    expect(waitMs({})).toBe(60_000);
    expect(waitMs({ "x-stainless-timeout": "20" })).toBe(10_000);
  });

  test("is nothing for streams", () => {
    expect(waitMs({}, true)).toBe(0);
  });

  test.each([
    ["30", 30_000],
    ["30s", 30_000],
    ["500ms", 500],
    ["2m", 120_000],
    ["1.5", 1500],
    ["0", 0],
  ])("x-sluice-max-wait %j gives %d ms, streams too", (header, expected) => {
    expect(waitMs({ "x-sluice-max-wait": header })).toBe(expected);
    expect(waitMs({ "x-sluice-max-wait": header }, true)).toBe(expected);
  });

  test("never reaches beyond the deadline", () => {
    expect(waitMs({ "x-sluice-max-wait": "100", "x-stainless-timeout": "10" })).toBe(10_000);
  });

  test.each(["soon", "-1", "5h", "1e3"])("x-sluice-max-wait %j is refused, naming the header", (header) => {
    expect(() => waitMs({ "x-sluice-max-wait": header })).toThrow(/^x-sluice-max-wait: /);
  });
});
