import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

function run(environment: NodeJS.ProcessEnv): { status: number | null; stdout: string; stderr: string } {
  const script = `
    import { loadConfig } from "#shared/config/load-config.ts";
    import { configOrExit } from "#shared/runtime/config-or-exit.ts";
    process.stdout.write(String(configOrExit(() => loadConfig(process.env)).server.port));
  `;
  const env = { PATH: process.env["PATH"], ...environment };
  return spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8", env });
}

test("a configuration without faults is given", () => {
  expect(run({ PORT: "4000" })).toMatchObject({ status: 0, stdout: "4000" });
});

test("faults are printed, all of them, and the process ends with 1", () => {
  const { status, stderr } = run({ PORT: "x", REDIS_URL: "http://redis" });
  expect(status).toBe(1);
  expect(stderr).toBe(
    "The configuration has 2 faults:\n" +
      "  PORT: must be a whole number from 0 to 65535\n" +
      "  REDIS_URL: must be a redis:// or rediss:// URL, or unix:/path\n",
  );
});
