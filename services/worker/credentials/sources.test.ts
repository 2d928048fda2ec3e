import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { CredentialSource } from "../adapters/adapter.ts";
import { createAwsCredentials } from "./aws.ts";
import { createFoundryCredentials } from "./entra.ts";
import { createGoogleCredentials } from "./google.ts";

interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly form: URLSearchParams;
}

let server: Server;
let url = "";
let asked: Asked[] = [];
let answer: { status: number; body: unknown };
const folder = mkdtempSync(join(tmpdir(), "credentials-"));
const signal = new AbortController().signal;

beforeAll(async () => {
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += chunk.toString()));
    request.on("end", () => {
      const { authorization } = request.headers;
      asked.push({ path: request.url ?? "", authorization, form: new URLSearchParams(text) });
      response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  asked = [];
  answer = { status: 200, body: {} };
});
afterEach(() => {
  vi.unstubAllEnvs();
});

async function failureOf(source: CredentialSource | undefined): Promise<unknown> {
  return source?.get(signal).catch((reason: unknown) => reason);
}

describe("AWS", () => {
  const hideOwn = (): void => {
    for (const name of ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
      vi.stubEnv(name, undefined);
    vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
    vi.stubEnv("AWS_CONFIG_FILE", join(folder, "config"));
    vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", join(folder, "credentials"));
  };
  const region = "us-east-1";

  test("an API key is a bearer token, an access key is itself; neither is fetched", () => {
    expect(createAwsCredentials({ region, apiKey: "k" }).current).toEqual({
      kind: "headers",
      headers: ["authorization", "Bearer k"],
    });
    expect(createAwsCredentials({ region, accessKeyId: "a", secretAccessKey: "s", sessionToken: "t" }).current).toEqual(
      {
        kind: "aws",
        accessKeyId: "a",
        secretAccessKey: "s",
        sessionToken: "t",
      },
    );
  });

  test("the default chain asks the container's credential server", async () => {
    hideOwn();
    vi.stubEnv("AWS_CONTAINER_CREDENTIALS_FULL_URI", `${url}/creds`);
    const Expiration = new Date(Date.now() + 3_600_000).toISOString();
    answer = { status: 200, body: { AccessKeyId: "AK", SecretAccessKey: "SK", Token: "ST", Expiration } };
    const source = createAwsCredentials({ region });
    const expected = { kind: "aws", accessKeyId: "AK", secretAccessKey: "SK", sessionToken: "ST" };
    expect(await Promise.all([source.get(signal), source.get(signal)])).toEqual([expected, expected]);
    expect(source.current).toEqual(expected);
    expect(asked.map(({ path }) => path)).toEqual(["/creds"]);
  });

  test("a profile is read from its file", async () => {
    hideOwn();
    writeFileSync(join(folder, "credentials"), "[other]\naws_access_key_id = PK\naws_secret_access_key = PS\n");
    expect(await createAwsCredentials({ region, profile: "other" }).get(signal)).toEqual({
      kind: "aws",
      accessKeyId: "PK",
      secretAccessKey: "PS",
    });
  });

  test("where nothing is found, it says so", async () => {
    hideOwn();
    expect(await failureOf(createAwsCredentials({ region, profile: "missing" }))).toMatchObject({
      code: "upstream_refused",
      message: "The credential could not be fetched: CredentialsProviderError",
    });
  });
});

describe("Google", () => {
  /** Workload identity: the one kind of credentials file that names its token server. */
  function credentialsFile(): string {
    writeFileSync(join(folder, "subject"), "subject-token");
    const file = join(folder, "google.json");
    writeFileSync(
      file,
      JSON.stringify({
        type: "external_account",
        audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
        token_url: `${url}/token`,
        credential_source: { file: join(folder, "subject") },
        quota_project_id: "paying",
      }),
    );
    return file;
  }

  test("a given token is used as it is", () => {
    expect(createGoogleCredentials({ accessToken: "t" }).current).toEqual({
      kind: "headers",
      headers: ["authorization", "Bearer t"],
    });
  });

  test("a credentials file is exchanged for a token, once", async () => {
    answer = { status: 200, body: { access_token: "ya29.x", expires_in: 3600, token_type: "Bearer" } };
    const source = createGoogleCredentials({ credentialsFile: credentialsFile() });
    const [first, second] = await Promise.all([source.get(signal), source.get(signal)]);
    expect(first).toBe(second);
    expect(first).toEqual({
      kind: "headers",
      headers: ["authorization", "Bearer ya29.x", "x-goog-user-project", "paying"],
    });
    expect(asked.map(({ path, form }) => [path, form.get("subject_token")])).toEqual([["/token", "subject-token"]]);
  });

  test("application default credentials are found by the environment", async () => {
    vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", credentialsFile());
    answer = { status: 200, body: { access_token: "adc", expires_in: 3600, token_type: "Bearer" } };
    expect(await createGoogleCredentials({ project: "acme" }).get(signal)).toMatchObject({
      headers: ["authorization", "Bearer adc", "x-goog-user-project", "paying"],
    });
  });

  test("a refusal tells OAuth's word and nothing of what was sent", async () => {
    answer = { status: 400, body: { error: "invalid_grant", error_description: "subject-token is bad" } };
    const failure = await failureOf(createGoogleCredentials({ credentialsFile: credentialsFile() }));
    expect(failure).toMatchObject({
      code: "upstream_refused",
      message: expect.stringMatching(/^Google credentials: no token/),
    });
    expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain("subject-token");
  });

  test("a file that is not there is named by its code", async () => {
    expect(await failureOf(createGoogleCredentials({ credentialsFile: join(folder, "nowhere") }))).toMatchObject({
      code: "upstream_refused",
      message: expect.stringMatching(/^Google credentials: no usable credentials/),
    });
  });
});

describe("Entra", () => {
  const entra = { auth: "entra", tenantId: "t-1", clientId: "c-1", clientSecret: "hunter2" } as const;

  test("a key needs no token", () => {
    expect(createFoundryCredentials({ auth: "api-key", apiKey: "k" })?.current).toEqual({
      kind: "headers",
      headers: ["x-api-key", "k"],
    });
    expect(createFoundryCredentials({ auth: "api-key" })).toBeUndefined();
  });

  test("an application's secret is exchanged for a token", async () => {
    answer = { status: 200, body: { access_token: "eyJ", expires_in: 3599, token_type: "Bearer" } };
    const source = createFoundryCredentials(entra, url);
    expect(await source?.get(signal)).toEqual({ kind: "headers", headers: ["authorization", "Bearer eyJ"] });
    expect(asked[0]?.path).toBe("/t-1/oauth2/v2.0/token");
    expect(Object.fromEntries(asked[0]?.form ?? [])).toEqual({
      grant_type: "client_credentials",
      client_id: "c-1",
      client_secret: "hunter2",
      scope: "https://ai.azure.com/.default",
    });
  });

  test("a refusal tells OAuth's word and nothing of what was sent", async () => {
    answer = { status: 401, body: { error: "invalid_client", error_description: "hunter2 is wrong" } };
    const failure = await failureOf(createFoundryCredentials(entra, url));
    expect(failure).toMatchObject({ code: "upstream_refused", message: "Entra gave no token: 401 invalid_client" });
    expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain("hunter2");
  });

  test.each([
    [200, "<html>"],
    [200, { access_token: "" }],
    [500, { error: "Some <b>words</b>" }],
  ])("%i with %j is no token", async (status, body) => {
    answer = { status, body };
    expect(await failureOf(createFoundryCredentials(entra, url))).toMatchObject({
      message: `Entra gave no token: ${status}`,
    });
  });

  test("a server that is not there is named by its code", async () => {
    expect(await failureOf(createFoundryCredentials(entra, "http://127.0.0.1:1"))).toMatchObject({
      message: "The credential could not be fetched: ECONNREFUSED",
    });
  });
});
