import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.ts";

const poll = { timeout: 10_000 };

export default defineConfig({
  test: {
    // Most files wait more than they compute, and half of what they compute is loading what the file before had loaded.
    maxWorkers: 4,
    isolate: false,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: { name: "unit", include: ["{services,shared,cli}/**/*.test.ts", "test/conformance/**/*.test.ts"] },
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
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: ["test/support/redis.ts"],
          expect: { poll },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
