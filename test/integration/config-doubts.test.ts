import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, test } from "vitest";
import { loadConfig } from "#shared/config/load-config.ts";
import { createCloseStack } from "#shared/runtime/close-stack.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { startWorker } from "../../services/worker/start-worker.ts";
import { startGatewayBed } from "../support/gateway-bed.ts";

// What a configuration allows and hardly means is told by the process that can tell.

function doubtsIn(lines: readonly string[]): unknown[] {
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return records.filter(({ msg }) => msg === "doubtful config").map(({ level, member }) => [level, member]);
}

test("a gateway warns of callers who can do nothing, at its start and when keys are taken over", async () => {
  const keys = [{ name: "bed", key: "sk-bed", models: ["gpt-*"] }];
  await using bed = await startGatewayBed({ config: { keys } });
  expect(doubtsIn(bed.lines)).toEqual([["warn", "keys[0].models"]]);
  bed.gateway.useKeys({ keys: [{ name: "new", sha256: "0".repeat(64) }, ...bed.config.keys], oidc: [] });
  expect(doubtsIn(bed.lines).slice(1)).toEqual([["warn", "keys[1].models"]]);
});

test("a worker warns of a vendor's provider without a key", async () => {
  const folder = await mkdtemp(join(tmpdir(), "doubts-"));
  const lines: string[] = [];
  const logger = createLogger({ name: "worker", destination: { write: (line) => void lines.push(line) } });
  const stack = createCloseStack(logger);
  try {
    const file = join(folder, "sluice.yaml");
    await writeFile(file, "providers: { one: { type: anthropic }, two: { type: anthropic, api_key: k } }");
    const config = loadConfig(
      { SLUICE_CONFIG: file, REDIS_URL: inject("redisUrl"), SLUICE_WORKER_LISTEN: "127.0.0.1:0" },
      { process: "worker" },
    );
    const { signal } = new AbortController();
    await startWorker(config, { logger, signal, own: (resource) => stack.own(resource) });
    expect(doubtsIn(lines)).toEqual([["warn", "providers.one.api_key"]]);
  } finally {
    await stack.closeAll();
    await rm(folder, { recursive: true });
  }
});
