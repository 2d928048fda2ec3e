import { afterAll, beforeEach } from "vitest";

import { startStack, type Stack, type StackOptions } from "./stack.ts";

/**
 * A stack for all tests of a file. What one of them ended runs again before the next, and the log is printed when one
 * fails.
 */
export async function useStack(options: StackOptions): Promise<Stack> {
  const stack = await startStack(options);
  afterAll(() => stack.stop());
  beforeEach(async ({ onTestFailed }) => {
    onTestFailed(() => void process.stderr.write(`${stack.log().slice(-8000)}\n`));
    const ended = stack.processes.filter(({ running }) => !running);
    for (const process of ended) process.start();
    await Promise.all(ended.map((process) => process.ready()));
  });
  return stack;
}
