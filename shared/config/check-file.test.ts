import { describe, expect, test } from "vitest";
import { checkFile } from "./check-file.ts";
import { ConfigError } from "./config-error.ts";
import { parseFile } from "./parse-file.ts";

function faults(text: string, environment: Readonly<Record<string, string>> = {}): string[] {
  try {
    checkFile(parseFile(text), environment, undefined);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

test("every fault is reported at once, each with its path", () => {
  const found = faults(`
    server: { port: 99999, heartbeat_after: soon, cors_origins: "*", max_body_bytes: 32MB }
    providers:
      first: { type: anthropic, base_url: "ftp://x", connections: 0, auth: basic }
      second: { api_key: a }
      "a b": { type: anthropic }
    models:
      claude-opus-5: { routes: [frist, { model: x }, 7] }
      claude-opus-4-8: { aliases: [claude-opus-5, opus], routes: [] }
      claude-sonnet-5: { aliases: [opus2, opus2], created_at: 2026-13-40 }
    keys:
      - { name: ci }
      - { name: ci, key: a, sha256: b }
      - { key: c, limits: { rpm: 0 } }
    oidc:
      - { name: gh, issuer: "https://x", audience: [], claims: {} }
    log: { level: loud }
  `);
  expect(found.toSorted()).toEqual(
    [
      "server.port: must be a whole number from 0 to 65535",
      "server.heartbeat_after: must be a time such as 500ms, 240s, 10m, or a number of seconds",
      "server.cors_origins: must be a list",
      "server.max_body_bytes: must be a size such as 512KiB, 32MiB, or a number of bytes",
      "providers.first.base_url: must be an http(s) URL without credentials, query or fragment",
      "providers.first.connections: must be a whole number from 1 to 65535",
      "providers.first.auth: must be one of x-api-key, bearer, google, aws",
      "providers.second.type: is missing",
      "providers: has a member whose name cannot be used",
      "models.claude-opus-5.routes[1].provider: is missing",
      "models.claude-opus-5.routes[2]: must be the name of a provider, or a mapping with `provider` and `model`",
      "models.claude-opus-4-8.routes: must be a list with at least one route",
      "models.claude-sonnet-5.aliases[1]: this is an alias of `claude-sonnet-5` already",
      "models.claude-sonnet-5.created_at: there is no such date",
      "keys[0]: needs `key` or `sha256`",
      "keys[1].sha256: must be 64 hex digits",
      "models.claude-opus-5.routes[0]: there is no provider of this name (did you mean `first`?)",
      "models.claude-opus-4-8.aliases[0]: this is the name of a model",
      "keys[1].name: the same name twice",
      "keys[2].name: is missing",
      "keys[2].limits.rpm: must be a whole number, at least 1",
      "oidc[0].audience: must be text or a list of texts",
      "oidc[0].claims: must be a mapping with at least one claim",
      "log.level: must be one of trace, debug, info, warn, error, fatal, silent",
    ].toSorted(),
  );
});

test("names have to point at something, and be told once", () => {
  const found = faults(`
    providers: { first: { type: anthropic }, second: { type: anthropic } }
    models:
      claude-opus-5: { aliases: [opus], routes: [frist, second, second, { provider: second, model: x }] }
      claude-opus-4-8: { aliases: [claude-opus-5, opus] }
    keys: [{ name: ci, key: a }, { name: ci, key: b }, { name: again, key: a }, { name: both, key: c, sha256: "" }]
  `);
  expect(found).toEqual([
    "keys[3].sha256: must not be empty",
    "models.claude-opus-5.routes[0]: there is no provider of this name (did you mean `first`?)",
    "models.claude-opus-5.routes[2]: the same route twice",
    "models.claude-opus-4-8.aliases[0]: this is the name of a model",
    "models.claude-opus-4-8.aliases[1]: this is an alias of `claude-opus-5` already",
    "keys[2]: is the same key as `ci`",
    "keys[1].name: the same name twice",
  ]);
});

test("a fault of an entry hides no other of it or of its section, and makes no more of itself", () => {
  const found = faults(`
    providers: { main: { type: anthropic }, second: { type: anthropic, auth: google, base_url: x } }
    models:
      "a b": {}
      claude-opus-5: { alias: [opus], routes: [main, secnd, { provider: nope, modl: x }, { modl: x }, second] }
      claude-opus-4-8: { aliases: [7, opus], routes: main, created_at: 2026-13-40 }
      claude-sonnet-5: { routes: [{ provider: 7 }], aliases: [opus], max_tokens: 0 }
    keys:
      - { name: team, key: abc, budget: { usd: 1, per: week }, expires_at: 2027-02-99 }
      - { name: team, key: abc, disabled: 1 }
      - { name: other, kye: abcd }
      - { key: abc }
      - { name: 7, key: abc }
      - { name: 8, key: abc }
    oidc:
      - { name: gh, issuer: "https://x", audience: a, claims: {} }
      - { name: gh, issuer: "https://x", audience: a, claims: { a: b } }
  `);
  expect(found.toSorted()).toEqual(
    [
      "providers.second.base_url: must be an http(s) URL without credentials, query or fragment",
      "models: has a member whose name cannot be used",
      "models.claude-opus-5.alias: unknown member (did you mean `aliases`?)",
      "models.claude-opus-5.routes[1]: there is no provider of this name (did you mean `second`?)",
      "models.claude-opus-5.routes[2].modl: unknown member (did you mean `model`?)",
      "models.claude-opus-5.routes[2]: there is no provider of this name",
      "models.claude-opus-5.routes[3].provider: is missing",
      "models.claude-opus-5.routes[3].modl: unknown member (did you mean `model`?)",
      "models.claude-opus-4-8.aliases[0]: must be text, and not empty",
      "models.claude-opus-4-8.routes: must be a list with at least one route",
      "models.claude-opus-4-8.created_at: there is no such date",
      "models.claude-sonnet-5.aliases[0]: this is an alias of `claude-opus-4-8` already",
      "models.claude-sonnet-5.max_tokens: must be a whole number, at least 1",
      "keys[0].budget.per: must be one of day, month",
      "keys[0].expires_at: there is no such date",
      "keys[1].name: the same name twice",
      "keys[1]: is the same key as `team`",
      "keys[1].disabled: must be true or false",
      "keys[2].kye: unknown member (did you mean `key`?)",
      "keys[3].name: is missing",
      "keys[4].name: must be a word of letters, digits, `.`, `_`, `-`",
      "keys[5].name: must be a word of letters, digits, `.`, `_`, `-`",
      "models.claude-sonnet-5.routes[0].provider: must be text, and not empty",
      "oidc[0].claims: must be a mapping with at least one claim",
      "oidc[1].name: the same name twice",
    ].toSorted(),
  );
});

test.each([
  ["servers: {}", "servers: unknown member (did you mean `server`?)"],
  ["server: { heartbeat: 1 }", "server.heartbeat: unknown member"],
  ["server: { heartbeatAfter: 1 }", "server.heartbeatAfter: unknown member (did you mean `heartbeat_after`?)"],
  [
    "providers: { a: { type: anthropic, baseurl: x } }",
    "providers.a.baseurl: unknown member (did you mean `base_url`?)",
  ],
  ["models: { claude-opus-5: { alias: [x] } }", "models.claude-opus-5.alias: unknown member (did you mean `aliases`?)"],
])("an unknown member gets a hint: %s", (text, fault) => {
  expect(faults(text)).toContain(fault);
});

test.each(["[first]", "first", "7"])("a model that is %s is told what it can be", (model) => {
  expect(faults(`models: { claude-opus-5: ${model} }`)).toEqual([
    "models.claude-opus-5: must be a mapping such as `{ routes: [PROVIDER] }`, or nothing",
  ]);
});

describe("a provider", () => {
  const ofOne = (members: string): string[] => faults(`providers: { a: { ${members} } }`);

  test.each([
    "type: anthropic",
    "type: anthropic, auth: aws, region: us-east-1, profile: p",
    "type: anthropic, auth: google, base_url: https://claude.googleapis.com/v1/projects/p/x, credentials_file: /g.json",
    "type: bedrock, region: us-east-1",
    "type: bedrock, region: eu-west-1, api: mantle, access_key_id: a, secret_access_key: b, session_token: c",
    "type: vertex, project: acme, region: global, credentials_file: /run/google.json",
    "type: foundry, resource: acme, api_key: k",
    "type: foundry, base_url: http://127.0.0.1:1/anthropic, auth: entra, tenant_id: t, client_id: c, client_secret: s",
    "type: openai, api: chat, organization: o, max_tokens_field: max_tokens, base_url: http://127.0.0.1:1/v1",
    "type: openai, api: responses",
    "type: gemini, api_key: k",
    "type: gemini, api: vertex, project: acme, region: europe-west4",
  ])("may be { %s }", (members) => expect(ofOne(members)).toEqual([]));

  test.each([
    [
      "type: antropic",
      "providers.a.type: must be one of anthropic, bedrock, vertex, foundry, openai, gemini (did you mean `anthropic`?)",
    ],
    ["type: 7", "providers.a.type: must be one of anthropic, bedrock, vertex, foundry, openai, gemini"],
    ["type: cohere", "providers.a.type: must be one of anthropic, bedrock, vertex, foundry, openai, gemini"],
    ["type: bedrock", "providers.a.region: is missing"],
    ["type: bedrock, region: us_east", "providers.a.region: must be a name of lower-case letters, digits and `-`"],
    ["type: bedrock, regoin: x, region: y", "providers.a.regoin: unknown member (did you mean `region`?)"],
    ["type: openai, region: us", "providers.a.region: unknown member"],
    ["type: anthropic, region: us", "providers.a: `region` says nothing without `auth: aws`"],
    ["type: anthropic, auth: aws", "providers.a: `auth: aws` needs `region`"],
    ["type: anthropic, auth: google", "providers.a: `auth: google` needs `base_url`"],
    [
      "type: anthropic, auth: aws, region: us-east-1, batch: native",
      "providers.a: `batch: native` cannot go with `auth: aws`",
    ],
    [
      "type: bedrock, region: us-east-1, access_key_id: a",
      "providers.a: `access_key_id` and `secret_access_key` need each other",
    ],
    ["type: vertex, region: us", "providers.a.project: is missing"],
    ["type: foundry", "providers.a: needs `resource` or `base_url`"],
    [
      "type: foundry, resource: r, auth: entra",
      "providers.a: `auth: entra` needs `tenant_id`, `client_id` and `client_secret`",
    ],
    [
      "type: openai, api: responses, max_tokens_field: max_tokens",
      "providers.a: `max_tokens_field` says nothing with `api: responses`",
    ],
    ["type: openai, api: completions", "providers.a.api: must be one of chat, responses"],
    ["type: gemini, api: vertex", "providers.a: `api: vertex` needs `project`"],
  ])("may not be { %s }", (members, fault) => expect(ofOne(members)).toEqual([fault]));

  test("has to be a mapping", () =>
    expect(faults("providers: { a: anthropic }")).toEqual(["providers.a: must be a mapping"]));
});

describe("secrets", () => {
  test.each([
    ["a key that is no text", "keys: [{ name: a, key: { s3cret: 1 } }]"],
    ["a key without a space after its name", "providers: { a: { type: anthropic, api_key:s3cret } }"],
    ["an unquoted key that begins as an alias", "keys: [{ name: a, key: *s3cret }]"],
    ["an unquoted key that begins as a tag", "keys: [{ name: a, key: @s3cret }]"],
    ["a URL with a password", 'redis: { url: "http://:s3cret@redis" }'],
    ["a provider's URL with credentials", 'providers: { a: { type: anthropic, base_url: "https://u:s3cret@x" } }'],
    ["a bad hash", "keys: [{ name: a, sha256: s3cret }]"],
    ["a bad encryption key", "redis: { encryption_key: s3cret }"],
    ["a line break in a header", 'providers: { a: { type: anthropic, headers: { x: "s3cret\\nz: 1" } } }'],
    ["a doubled member", "redis: { url: s3cret, url: s3cret }"],
    ["a broken quote", 'redis: { url: "s3cret }'],
  ])("%s is refused and not repeated", (_, text) => {
    const found = faults(text).join("\n");
    expect(found).not.toBe("");
    expect(found).not.toContain("s3cret");
  });
});

describe("the file as a whole", () => {
  test.each([
    ["", []],
    ["# nothing\n", []],
    ["server:\nkeys:\n", []],
    ["[1]", [": must be a mapping"]],
    ["server: { port: 1 }\nserver: { port: 2 }\n", [": line 2, column 1: `server` twice"]],
    ["a: {\n  'b.c' : 1, 'b.c' : 2 }", [": line 2, column 14: `b.c` twice"]],
    ["keys: [{ sk ant: 1, sk ant: 2 }]", [": line 1, column 21: the same member twice"]],
    ["server:\n\tport: 1\n", [": line 2, column 1: a tab in the indentation"]],
  ])("%j", (text, expected) => {
    expect(faults(text)).toEqual(expected);
  });

  test("an alias inside its own anchor ends", () => {
    expect(faults("server: &s { host: *s }")).not.toEqual([]);
  });

  test("JSON is YAML", () => {
    expect(faults('{ "server": { "port": 1 } }')).toEqual([]);
  });
});

describe("values from the environment", () => {
  test("a variable alone may be a number or a truth value", () => {
    const text = 'server: { port: "${P}", max_waiting: "${W:-7}" }\nengine: { rerun_sent: "${R}" }';
    const { server, engine } = checkFile(parseFile(text), { P: "9000", R: "false" }, undefined);
    expect(server).toMatchObject({ port: 9_000, max_waiting: 7 });
    expect(engine).toMatchObject({ rerun_sent: false });
  });

  test("digits stay text where text is wanted", () => {
    const { keys } = checkFile(parseFile('keys: [{ name: a, key: "${K}" }]'), { K: "123" }, undefined);
    expect(keys?.[0]?.key).toBe("123");
  });

  test("a number that was written as text in the file is a fault", () => {
    expect(faults('server: { port: "9000" }')).toEqual(["server.port: must be a whole number from 0 to 65535"]);
  });

  test("a value never becomes structure", () => {
    const text = 'workers: { token: "${T}" }';
    const { workers } = checkFile(parseFile(text), { T: "x }\nkeys: [${HOME}] #" }, undefined);
    expect(workers).toEqual({ token: "x }\nkeys: [${HOME}] #" });
  });
});
