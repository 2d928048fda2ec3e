import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { createStackProcess } from "../support/stack-process.ts";

test.each([
  ["that has no keys says that it holds no batch to a budget", [], 1],
  ["that has keys says nothing", [{ name: "ci", budget: { usd: 1, per: "day" } }], 0],
])("a dispatcher %s", async (_, keys, count) => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  const file = join(folder, "sluice.yaml");
  const opsPort = await freePort();
  const providers = { one: { type: "anthropic", base_url: "http://127.0.0.1:1" } };
  const redis = { url: inject("redisUrl"), prefix: "keyless" };
  await writeFile(file, JSON.stringify({ redis, providers, keys }));
  const env = { SLUICE_CONFIG: file, SLUICE_OPS_PORT: String(opsPort), SLUICE_WORKERS: "ipv4:127.0.0.1:1" };
  const dispatcher = createStackProcess({ role: "dispatcher", name: "dispatcher", port: 0, opsPort, env });
  try {
    dispatcher.start();
    await expect.poll(async () => (await fetch(`${dispatcher.opsUrl}/livez`).catch(() => undefined))?.status).toBe(200);
    // Its log's lines leave together at the end at the latest.
    await dispatcher.kill("SIGTERM");
    const said = dispatcher.lines.filter((line) => line.includes("held to no budget"));
    expect(said).toHaveLength(count);
    for (const line of said) expect(JSON.parse(line)).toMatchObject({ level: "warn" });
  } finally {
    await dispatcher.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }
});
