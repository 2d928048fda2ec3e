import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // One worker a core: the tests of processes wait more than they compute.
    maxWorkers: 2,
    projects: [
      { test: { name: "unit", include: ["{services,shared,cli}/**/*.test.ts", "test/conformance/**/*.test.ts"] } },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          globalSetup: ["test/support/redis.ts"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: ["test/support/redis.ts"],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
