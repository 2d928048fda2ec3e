import { PassThrough } from "node:stream";
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { createLogger, describeError, type Logger } from "./logger.ts";

function logLine(write: (logger: Logger) => void, level?: string): string {
  const destination = new PassThrough();
  write(createLogger({ name: "gateway", destination, ...(level ? { level } : {}) }));
  return String(destination.read() ?? "");
}

describe("a line", () => {
  test("it has the service, the level by name and an ISO time", () => {
    const line = JSON.parse(logLine((logger) => logger.warn({ callId: "call_1" }, "retrying"))) as object;
    expect(line).toEqual({
      level: "warn",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
      service: "gateway",
      callId: "call_1",
      msg: "retrying",
    });
  });

  test("it is not written below the level", () => {
    expect(logLine((logger) => logger.info("hello"), "warn")).toBe("");
  });

  test.each([
    [{ authorization: "Bearer s3cret" }],
    [{ "x-api-key": "s3cret" }],
    [{ apiKey: "s3cret" }],
    [{ token: "s3cret" }],
    [{ body: { messages: ["s3cret"] } }],
    [{ headers: { Authorization: "s3cret", "X-Api-Key": "s3cret", cookie: "s3cret" } }],
  ])("%o is hidden", (fields) => {
    const line = logLine((logger) => logger.info(fields, "request"));
    expect(line).not.toContain("s3cret");
    expect(line).toContain("[redacted]");
  });

  test("harmless headers stay", () => {
    expect(logLine((logger) => logger.info({ headers: { accept: "a/b" } }, "request"))).toContain("a/b");
  });

  test("a child logger hides as well", () => {
    expect(logLine((logger) => logger.child({ token: "s3cret" }).info("hello"))).not.toContain("s3cret");
  });
});

describe("an error", () => {
  test("what hangs on it is left out", () => {
    const error = Object.assign(new Error("WRONGTYPE"), { code: "ERR", command: { name: "set", args: ["s3cret"] } });
    const line = logLine((logger) => logger.error({ err: error }, "command failed"));
    expect(line).not.toContain("s3cret");
    expect(JSON.parse(line)).toMatchObject({ err: { type: "Error", message: "WRONGTYPE", code: "ERR" } });
  });

  test("its causes are told", () => {
    const error = new Error("outer", { cause: new TypeError("inner") });
    expect(describeError(error)).toMatchObject({ message: "outer", cause: { type: "TypeError", message: "inner" } });
  });

  test("a ring of causes ends", () => {
    const error = new Error("ring");
    error.cause = error;
    expect(JSON.stringify(describeError(error)).match(/ring/g)?.length).toBeLessThan(30);
  });

  test("bad JSON is not quoted", () => {
    let error: unknown;
    try {
      JSON.parse("s3cret prompt");
    } catch (reason) {
      error = reason;
    }
    expect(JSON.stringify(describeError(error))).not.toContain("s3cret");
  });

  test("a stranger is not quoted", () => {
    expect(JSON.stringify(describeError("s3cret"))).not.toContain("s3cret");
  });
});

test("every line is out when the process exits", () => {
  const script = `
    import { createLogger } from "#shared/telemetry/logger.ts";
    const logger = createLogger({ name: "worker" });
    for (let index = 0; index < 2000; index += 1) logger.info({ index }, "line");
    process.exit(3);
  `;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect(child.status).toBe(3);
  expect(child.stdout.trimEnd().split("\n")).toHaveLength(2_000);
});
