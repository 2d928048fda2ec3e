import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.ts";

const poll = { timeout: 10_000 };

export default defineConfig({
  test: {
    // Half of what a file computes is loading what the file before had loaded.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: ["test/support/redis.ts", "test/support/warm-up.ts"],
          // What processes do that were just killed and started again may take seconds.
          expect: { poll },
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Each brings up to six processes along: more at a time wait for the processor, not beside it.
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          globalSetup: ["test/support/redis.ts"],
          // A condition that holds in milliseconds on an idle machine may take seconds on one that is busy.
          expect: { poll },
          testTimeout: 30_000,
          // They wait more than they compute.
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "unit",
          include: ["{services,shared,cli}/**/*.test.ts", "test/conformance/**/*.test.ts"],
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
