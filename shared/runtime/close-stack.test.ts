import { PassThrough } from "node:stream";
import { createLogger } from "#shared/telemetry/logger.ts";
import { expect, test } from "vitest";
import { createCloseStack } from "./close-stack.ts";

function createStack(capMs?: number): { stack: ReturnType<typeof createCloseStack>; lines: () => string } {
  const destination = new PassThrough();
  const logger = createLogger({ name: "gateway", destination });
  return { stack: createCloseStack(logger, capMs), lines: () => String(destination.read() ?? "") };
}

test("resources are closed one after the other, the latest first", async () => {
  const { stack } = createStack();
  const events: string[] = [];
  for (const name of ["redis", "server"]) {
    stack.own({
      close: async () => {
        events.push(`${name} closing`);
        await new Promise((resolve) => setImmediate(resolve));
        events.push(`${name} closed`);
      },
    });
  }
  expect(await stack.closeAll()).toBe(0);
  expect(events).toEqual(["server closing", "server closed", "redis closing", "redis closed"]);
});

test("one that fails is logged and does not keep the others open", async () => {
  const { stack, lines } = createStack();
  let closed = false;
  stack.own({ close: () => void (closed = true) });
  stack.own({ close: () => Promise.reject(new Error("socket hang up")) });
  expect(await stack.closeAll()).toBe(1);
  expect(closed).toBe(true);
  expect(lines()).toContain("socket hang up");
});

test("one that never closes is left behind", async () => {
  const { stack, lines } = createStack(10);
  stack.own({ close: () => new Promise<void>(() => undefined) });
  expect(await stack.closeAll()).toBe(1);
  expect(lines()).toContain("did not close in time");
});

test("nothing is closed twice", async () => {
  const { stack } = createStack();
  let count = 0;
  stack.own({ close: () => void (count += 1) });
  await stack.closeAll();
  await stack.closeAll();
  expect(count).toBe(1);
});
