import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, inject, test } from "vitest";
import type { VertexProviderConfig } from "#shared/config/schema.ts";
import type { Exchange } from "../support/upstream.ts";
import { useUpstream } from "../support/use-upstream.ts";
import {
  errorOf,
  makeCall,
  makeContext,
  reasonsOf,
  startWorkerHarness,
  type HarnessOptions,
  type WorkerHarness,
} from "../support/worker-harness.ts";

const upstream = await useUpstream();

function vertex(given: Partial<VertexProviderConfig>): VertexProviderConfig {
  const common = { headers: {}, connections: 4, threads: false, models: {} } as const;
  const where = { type: "vertex", project: "acme", region: "global" } as const;
  return { ...common, ...where, baseUrl: upstream.url, ...given };
}

function open(providers: HarnessOptions["providers"]): Promise<WorkerHarness> {
  return startWorkerHarness({ providers, redisUrl: inject("redisUrl") });
}

describe("a credential that is not to be had", () => {
  const lost = (): VertexProviderConfig => vertex({ credentialsFile: "/nowhere/google.json" });

  test("sends the call to the next target", async () => {
    await using harness = await open({ cloud: lost(), second: upstream.url });
    const outcome = await harness.handler.invoke(makeCall(), makeContext());
    expect(reasonsOf(outcome)).toEqual(["no_credential", "ok"]);
  });

  test("is the gateway's fault where there is none", async () => {
    await using harness = await open({ cloud: lost() });
    const outcome = await harness.handler.invoke(makeCall(), makeContext());
    expect(outcome.status).toBe(502);
    expect(errorOf(outcome)).toMatchObject({ type: "api_error" });
    expect(JSON.stringify(outcome.attempts)).not.toContain("nowhere");
  });
});

describe("a fetched credential that the provider refuses", () => {
  const unauthenticated = { error: { code: 401, status: "UNAUTHENTICATED", message: "no" } };
  const folder = mkdtempSync(join(tmpdir(), "refused-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** A file whose tokens this upstream gives out: token-1, token-2 and so on. */
  function credentialsFile(): string {
    writeFileSync(join(folder, "subject"), "subject-token");
    const file = join(folder, "google.json");
    const content = {
      type: "external_account",
      audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      token_url: `${upstream.url}/token`,
      credential_source: { file: join(folder, "subject") },
    };
    writeFileSync(file, JSON.stringify(content));
    return file;
  }

  const tokens = (): number => upstream.requests.filter(({ path }) => path === "/token").length;
  const askedWith = (): (string | undefined)[] =>
    upstream.requests.flatMap(({ path, headers }) => (path === "/token" ? [] : [headers.authorization]));

  /** Gives tokens, and answers who comes with another one than those. */
  function refuse(
    refused: readonly string[],
    answer = (exchange: Exchange) => exchange.json(401, unauthenticated),
  ): void {
    upstream.onRequest((exchange) => {
      const { path, headers } = exchange.request;
      if (path === "/token")
        exchange.json(200, { access_token: `token-${tokens()}`, expires_in: 3600, token_type: "Bearer" });
      else if (refused.includes(headers.authorization ?? "")) answer(exchange);
      else exchange.message("ho");
    });
  }

  test("is fetched anew, and the call goes on with the new one at the same target", async () => {
    await using harness = await open({ cloud: vertex({ credentialsFile: credentialsFile() }) });
    refuse([]);
    await harness.handler.invoke(makeCall(), makeContext());
    refuse(["Bearer token-1"]);
    const outcome = await harness.handler.invoke(makeCall(), makeContext());
    expect(outcome.status).toBe(200);
    expect(reasonsOf(outcome)).toEqual(["credential_refused", "ok"]);
    expect(outcome.notes).toContain("credential_renewed");
    expect(askedWith()).toEqual(["Bearer token-1", "Bearer token-1", "Bearer token-2"]);
    expect(reasonsOf(await harness.handler.invoke(makeCall(), makeContext()))).toEqual(["ok"]);
  });

  test("takes its target out when the new one is refused too, with one fetch more", async () => {
    await using harness = await open({ cloud: vertex({ credentialsFile: credentialsFile() }), second: upstream.url });
    refuse(["Bearer token-1", "Bearer token-2", "Bearer token-3"]);
    const outcome = await harness.handler.invoke(makeCall(), makeContext());
    expect(outcome.attempts.map(({ provider, reason }) => `${provider} ${reason}`)).toEqual([
      "cloud credential_refused",
      "cloud credential_refused",
      "second ok",
    ]);
    expect(tokens()).toBe(2);
    const next = await harness.handler.invoke(makeCall(), makeContext());
    expect(next.attempts.map(({ provider }) => provider)).toEqual(["second"]);
    expect(tokens()).toBe(2);
  });

  test("is renewed for the calls after this one where it lacks a permission", async () => {
    await using harness = await open({ cloud: vertex({ credentialsFile: credentialsFile() }), second: upstream.url });
    const denied = { error: { code: 403, status: "PERMISSION_DENIED", message: "no" } };
    refuse(["Bearer token-1"], (exchange) => exchange.json(403, denied));
    const outcome = await harness.handler.invoke(makeCall(), makeContext());
    expect(reasonsOf(outcome)).toEqual(["forbidden", "ok"]);
    await expect.poll(tokens).toBe(2);
    await expect.poll(async () => (await harness.handler.invoke(makeCall(), makeContext())).provider).toBe("cloud");
  });

  test("that the configuration gives is not asked about again", async () => {
    await using harness = await open({ cloud: vertex({ accessToken: "given" }), second: upstream.url });
    refuse(["Bearer given"]);
    const outcome = await harness.handler.invoke(makeCall(), makeContext());
    expect(reasonsOf(outcome)).toEqual(["credential_refused", "ok"]);
    expect(askedWith()).toHaveLength(2);
  });
});
