import { beforeEach, expect, test } from "vitest";
import type { ProviderConfig } from "#shared/config/schema.ts";
import type { TargetCause } from "#shared/store/target-cause.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { createTroubleLog, type TroubleLog } from "./trouble-log.ts";

let lines: Record<string, unknown>[];
let now: number;
let log: TroubleLog;

const common = { baseUrl: "http://x", headers: {}, connections: 1, threads: false, models: {} };
const configs: Readonly<Record<string, ProviderConfig>> = {
  one: { ...common, type: "anthropic", auth: "x-api-key", apiKey: "sk-secret" },
  keyless: { ...common, type: "anthropic", auth: "x-api-key" },
  headed: {
    ...common,
    type: "openai",
    api: "chat",
    maxTokensField: "max_tokens",
    headers: { authorization: "Bearer x" },
  },
  chained: { ...common, type: "bedrock", region: "us-east-1", api: "invoke" },
};

beforeEach(() => {
  lines = [];
  now = Date.parse("2026-11-21T12:00:00Z");
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  const logger = createLogger({ name: "test", destination });
  const providers = {
    get: (name: string) => (configs[name] === undefined ? undefined : { config: configs[name] }),
  };
  log = createTroubleLog({ logger, providers, now: () => now });
});

const target = { provider: "one", model: "claude-x" };
const refused: TargetCause = { reason: "credential_refused", status: 401, error: "authentication_error" };
const limited: TargetCause = { reason: "rate_limited", status: 429 };

test("a refused credential is one line that says who, why, until when and what to do", () => {
  for (let i = 0; i < 100; i += 1) log.noted(target, refused, now + 60_000);
  expect(lines).toEqual([
    {
      level: "warn",
      time: expect.any(String) as string,
      service: "test",
      ...target,
      ...refused,
      until: "2026-11-21T12:01:00.000Z",
      advice: "check providers.one.api_key in sluice.yaml (or the variable it comes from), then restart the workers",
      msg: "provider not usable",
    },
  ]);
  expect(JSON.stringify(lines)).not.toContain("sk-secret");
});

test("the other models of the provider say nothing new of it", () => {
  log.noted(target, refused, now + 60_000);
  log.noted({ ...target, model: "claude-y" }, refused, now + 60_000);
  expect(lines).toHaveLength(1);
  log.noted({ ...target, provider: "two" }, refused, now + 60_000);
  expect(lines).toHaveLength(2);
});

test("what lasts is told again after ten minutes, another reason at once", () => {
  log.noted(target, refused, now + 60_000);
  now += 599_000;
  log.noted(target, refused, now + 60_000);
  expect(lines).toHaveLength(1);
  now += 1_000;
  log.noted(target, refused, now + 60_000);
  expect(lines).toHaveLength(2);
  log.noted(target, { reason: "account_exhausted", status: 402 }, now + 600_000);
  expect(lines[2]?.["advice"]).toContain("the account of providers.one");
});

test("a recovery is told once, and what comes after it anew", () => {
  log.noted(target, refused, now + 60_000);
  log.succeeded({ ...target, model: "claude-y" });
  expect(lines).toHaveLength(1);
  log.succeeded(target);
  log.succeeded(target);
  expect(lines.slice(1)).toMatchObject([{ level: "info", reason: "credential_refused", msg: "provider usable again" }]);
  log.noted(target, refused, now + 60_000);
  expect(lines).toHaveLength(3);
});

test("a limit is told when it lasts for a minute or more", () => {
  log.noted(target, limited, now + 59_999);
  expect(lines).toEqual([]);
  log.noted(target, limited, now + 60_000);
  log.noted({ ...target, model: "claude-y" }, limited, now + 3_600_000);
  expect(lines.map(({ model, until }) => [model, until])).toEqual([
    ["claude-x", "2026-11-21T12:01:00.000Z"],
    ["claude-y", "2026-11-21T13:00:00.000Z"],
  ]);
});

test("credentials that are not in the file are not looked for there", () => {
  const chained = { provider: "chained", model: "m" };
  log.noted(chained, { reason: "no_credential", error: "the credential could not be fetched" });
  expect(lines[0]).toMatchObject({ reason: "no_credential" });
  expect(lines[0]?.["advice"]).toContain("the credentials that providers.chained finds on this machine");
  expect(lines[0]).not.toHaveProperty("until");
});

test("a key that is nowhere is said to be missing, not to be wrong", () => {
  log.noted({ provider: "keyless", model: "m" }, refused, now + 60_000);
  expect(lines[0]?.["advice"]).toBe("providers.keyless.api_key is missing: set it, then restart the workers");
});

test("a credential that is in the headers is looked for there", () => {
  log.noted({ provider: "headed", model: "m" }, refused, now + 60_000);
  expect(lines[0]?.["advice"]).toContain("check providers.headed.headers in sluice.yaml");
});
