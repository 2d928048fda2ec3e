import { expect, test } from "vitest";
import { renderLogLine } from "./render-log-line.ts";

const plain = { colour: false, nameWidth: 8 };

test("a structured record becomes time, level, words and fields behind the name", () => {
  const line = JSON.stringify({
    level: "warn",
    time: "2023-11-14T22:13:20.123Z",
    service: "worker",
    ms: 12,
    of: { a: 1 },
    msg: "slow",
  });
  expect(renderLogLine("worker", line, plain)).toBe('worker   | 22:13:20.123 warn slow ms=12 of={"a":1}');
});

test("anything else is passed on as it came", () => {
  expect(renderLogLine("redis", "Ready to accept", plain)).toBe("redis    | Ready to accept");
  expect(renderLogLine("redis", "{ not json", plain)).toBe("redis    | { not json");
  expect(renderLogLine("redis", '{"no":"log"}', plain)).toBe('redis    | {"no":"log"}');
});

test("a record without a usable time or message is still one line", () => {
  expect(renderLogLine("w", '{"level":"info","time":"x"}', { colour: false, nameWidth: 1 })).toBe(
    "w | --:--:--.--- info ",
  );
});

test("colours are used only when asked for", () => {
  expect(renderLogLine("a", '{"level":"error","time":0,"msg":"m"}', { colour: true, nameWidth: 1 })).toContain(
    "\u001b[31merror\u001b[0m",
  );
});
