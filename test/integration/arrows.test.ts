import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = new URL("../..", import.meta.url).pathname;

type Case = readonly [folder: string, specifier: string];

const forbidden: Case[] = [
  ["shared/messages", "fastify"],
  ["shared/messages", "#shared/config/schema.ts"],
  ["shared/config", "#shared/rpc/worker-pool.ts"],
  ["shared/telemetry", "#shared/store/result-store.ts"],
  ["shared/runtime", "../../services/gateway/app.ts"],
  ["shared/routing", "#shared/store/affinity.ts"],
  ["shared/rpc", "#shared/queue/job.ts"],
  ["shared/rpc", "ioredis"],
  ["shared/queue", "#shared/rpc/worker-pool.ts"],
  ["shared/store", "bullmq"],
  ["services/gateway", "../worker/handle-call.ts"],
  ["services/gateway", "undici"],
  ["services/gateway", "bullmq"],
  ["services/dispatcher", "../gateway/app.ts"],
  ["services/dispatcher", "@grpc/grpc-js"],
  ["services/worker", "undici"],
  ["services/worker/upstream", "fastify"],
  ["services/worker/adapters", "undici"],
  ["services/worker/adapters", "#shared/telemetry/logger.ts"],
  ["services/simulator", "../worker/handle-call.ts"],
  ["services/local", "../gateway/app.ts"],
  ["cli", "../services/gateway/app.ts"],
  ["cli", "#shared/messages/error.ts"],
  ["cli", "../shared/messages/error.ts"],
  ["cli", "undici"],
];

const allowed: Case[] = [
  ["shared/messages", "./error.ts"],
  ["shared/rpc", "#shared/messages/call.ts"],
  ["services/worker/upstream", "undici"],
  ["services/gateway", "#shared/rpc/worker-pool.ts"],
  ["cli", "./commands/limits.ts"],
  ["cli", "node:fs/promises"],
  ["cli", "yaml"],
];

const cases = [...forbidden, ...allowed];
const probeOf = (index: number): string => `${cases[index]?.[0]}/import-${index}.probe.ts`;
const complaints = new Set<string>();

// One run of the linter over a file for each case, each holding the one import.
beforeAll(() => {
  cases.forEach(([, specifier], index) => {
    writeFileSync(join(root, probeOf(index)), `import * as probe from "${specifier}";\nexport const probed = probe;\n`);
  });
  const args = ["--format=json", ...cases.map((_, index) => probeOf(index))];
  const run = spawnSync(join(root, "node_modules/.bin/oxlint"), args, { cwd: root, encoding: "utf8" });
  const said = JSON.parse(run.stdout) as { diagnostics: { code: string; filename: string }[] };
  for (const { code, filename } of said.diagnostics)
    if (code.includes("no-restricted-imports")) complaints.add(filename.replace(root, ""));
});

afterAll(() => {
  cases.forEach((_, index) => rmSync(join(root, probeOf(index)), { force: true }));
});

test.each(forbidden)("the linter refuses that %s imports %s", (folder, specifier) => {
  const index = cases.findIndex((each) => each[0] === folder && each[1] === specifier);
  expect(complaints).toContain(probeOf(index));
});

test.each(allowed)("the linter lets %s import %s", (folder, specifier) => {
  const index = cases.findIndex((each) => each[0] === folder && each[1] === specifier);
  expect(complaints).not.toContain(probeOf(index));
});
