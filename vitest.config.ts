import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.ts";

// How long to wait before giving up what will never come: what holds in milliseconds on an idle machine may take
// seconds on one that is busy, or that stood still for a moment.
const poll = { timeout: 20_000 };

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
          expect: { poll },
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Each brings up to six processes along: more at a time wait for the processor, not beside it.
          maxWorkers: 4,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          globalSetup: ["test/support/redis.ts"],
          expect: { poll },
          testTimeout: 60_000,
          hookTimeout: 60_000,
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
          expect: { poll },
          testTimeout: 60_000,
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
