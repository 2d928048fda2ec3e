import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from "jose";
import { afterAll, expect, test } from "vitest";

import { metrics } from "#shared/telemetry/metrics.ts";
import { ask, bedKeys, wholeOutcome } from "../support/gateway-bed.ts";
import { useGatewayBed } from "../support/use-gateway-bed.ts";
import { messageBody } from "../support/wire-samples.ts";

let fetched = 0;
const { privateKey: signingKey, publicKey } = await generateKeyPair("ES256");
const jwk = { ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256" };
const server = createServer((request, response) => {
  fetched += 1;
  const isConfiguration = request.url === "/.well-known/openid-configuration";
  const body = isConfiguration ? { issuer, jwks_uri: `${issuer}/keys` } : { keys: [jwk] };
  response.setHeader("content-type", "application/json").end(JSON.stringify(body));
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
afterAll(() => server.close());
const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const bed = await useGatewayBed({
  config: {
    oidc: [
      {
        name: "ci",
        issuer,
        audience: "sluice",
        claims: { sub: "repo:acme/*", ref: "refs/heads/*" },
        models: ["claude-opus-*"],
      },
      {
        name: "paid",
        issuer,
        audience: "sluice",
        claims: { sub: "repo:paid/*" },
        budget: { usd: 0.0002, per: "day" },
      },
      { name: "away", issuer: "http://127.0.0.1:1", audience: "sluice", claims: { sub: "*" } },
    ],
  },
});

const claims = { sub: "repo:acme/widgets:main", ref: "refs/heads/main" };

interface TokenOptions {
  readonly issuer?: string;
  readonly audience?: string;
  readonly expires?: string | number;
  readonly notBefore?: string;
  readonly key?: CryptoKey;
}

function sign(payload: JWTPayload, options: TokenOptions = {}): Promise<string> {
  const token = new SignJWT(payload)
    .setProtectedHeader({ alg: "ES256", kid: "k1" })
    .setIssuer(options.issuer ?? issuer)
    .setAudience(options.audience ?? "sluice")
    .setExpirationTime(options.expires ?? "5m");
  if (options.notBefore !== undefined) token.setNotBefore(options.notBefore);
  return token.sign(options.key ?? signingKey);
}

const post = (token: string, body: object = ask(), more: Record<string, string> = {}): Promise<Response> =>
  bed.post("/v1/messages", body, { "x-api-key": "", authorization: `Bearer ${token}`, ...more });

async function refusedBecause(reason: string): Promise<number> {
  const { values } = await metrics.credentialsRefusedTotal.get();
  return values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
}

test("a token of a configured issuer is its subject's", async () => {
  expect((await post(await sign(claims))).status).toBe(200);
  expect(bed.calls.at(-1)?.head.keyId).toBe("oidc:ci:repo:acme/widgets:main");
});

test("the issuer's keys are fetched once", async () => {
  await post(await sign(claims));
  const before = fetched;
  await Promise.all(Array.from({ length: 5 }, async () => post(await sign(claims))));
  expect(fetched).toBe(before);
});

test("a token may use the models its entry names", async () => {
  expect((await post(await sign(claims), ask({ model: "claude-haiku-4-5" }))).status).toBe(403);
});

test("each subject has the entry's budget for itself", async () => {
  const usage = { input_tokens: 12, output_tokens: 7, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  bed.script.invoke = () => Promise.resolve(wholeOutcome(messageBody("paid"), { usage }));
  const token = await sign({ sub: "repo:paid/one" });
  const budgetOf = async (): Promise<unknown> => {
    const response = await fetch(`${bed.url}/v1/usage`, { headers: { authorization: `Bearer ${token}` } });
    return ((await response.json()) as { readonly budget: unknown }).budget;
  };
  expect(await budgetOf()).toMatchObject({ usd: 0.0002, per: "day", spent_usd: 0 });
  expect((await post(token)).status).toBe(200);
  await expect.poll(budgetOf).toMatchObject({ spent_usd: 0.000235, held_usd: 0 });
  expect((await post(token)).status).toBe(402);
  expect((await post(await sign({ sub: "repo:paid/two" }))).status).toBe(200);
});

test.each<[string, JWTPayload, TokenOptions]>([
  ["of somebody else's repository", { ...claims, sub: "repo:other/widgets" }, {}],
  ["without a claim that is asked for", { sub: claims.sub }, {}],
  ["without a subject", { ref: claims.ref }, {}],
  ["for another audience", claims, { audience: "elsewhere" }],
  ["that has expired", claims, { expires: Math.floor(Date.now() / 1000) - 60 }],
  ["that is not valid yet", claims, { notBefore: "10m" }],
  ["of an issuer nobody configured", claims, { issuer: "https://elsewhere.example" }],
])("a token %s is a 401", async (_name, payload, options) => {
  const reason = options.issuer === undefined ? "oidc" : "unknown";
  const before = await refusedBecause(reason);
  const response = await post(await sign(payload, options));
  expect(response.status).toBe(401);
  expect(await response.json()).toMatchObject({ error: { type: "authentication_error" } });
  expect(await refusedBecause(reason)).toBe(before + 1);
  expect(bed.lines.join("")).toContain(`"reason":"${reason}"`);
});

test("a token that somebody else signed is a 401", async () => {
  const { privateKey } = await generateKeyPair("ES256");
  expect((await post(await sign(claims, { key: privateKey }))).status).toBe(401);
});

test("a token signed with a shared secret or not at all is a 401", async () => {
  const secret = new TextEncoder().encode("a secret that is long enough for it");
  const shared = await new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256" })
    .setIssuer(issuer)
    .setAudience("sluice")
    .setExpirationTime("5m")
    .sign(secret);
  expect((await post(shared)).status).toBe(401);
  const [, payload] = shared.split(".");
  const none = Buffer.from('{"alg":"none"}').toString("base64url");
  expect((await post(`${none}.${payload}.`)).status).toBe(401);
});

test("an API key beats a token even when the key is wrong", async () => {
  const token = await sign(claims);
  expect((await post(token, ask(), { "x-api-key": "wrong" })).status).toBe(401);
  expect((await post(token, ask(), { "x-api-key": bedKeys.key })).status).toBe(200);
  expect(bed.calls.at(-1)?.head.keyId).toBe("key:bed");
});

test("a token whose issuer cannot be reached is a 529, to be tried again", async () => {
  const response = await post(await sign(claims, { issuer: "http://127.0.0.1:1" }));
  expect([response.status, response.headers.get("retry-after")]).toEqual([529, "1"]);
  expect(await refusedBecause("oidc_away")).toBe(1);
});

test("a wrong token on a path that is no path is a 401, and the gateway goes on", async () => {
  const token = await sign({ ...claims, sub: "repo:other/widgets" });
  const response = await fetch(`${bed.url}/v1/models/%zz`, { headers: { authorization: `Bearer ${token}` } });
  expect(response.status).toBe(401);
  expect((await post(await sign(claims))).status).toBe(200);
});
