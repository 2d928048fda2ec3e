import { mkdir, mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { refuse, standInId, startBatchStandIn, type BatchStandIn } from "../support/batch-stand-in.ts";
import { runCli, type CliEnd } from "../support/cli-process.ts";
import { freePort } from "../support/free-port.ts";

// What the command line says when something is wrong: what is at fault, and the way out.

let gateway: BatchStandIn;
let folder: string;

beforeEach(async () => {
  gateway = await startBatchStandIn();
  folder = await realpath(await mkdtemp(join(tmpdir(), "sluice-cli-")));
});
afterEach(async () => {
  await gateway[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliEnd> {
  return runCli(args, { cwd: folder, env: { SLUICE_URL: gateway.url, SLUICE_KEY: "sk-cli", ...env } });
}

async function keepKey(text: string): Promise<string> {
  await mkdir(join(folder, ".sluice"));
  await writeFile(join(folder, ".sluice", "key"), text);
  return join(folder, ".sluice", "key");
}

describe("a command line that makes no sense ends with 2 before anybody is asked", () => {
  test.each<readonly [args: readonly string[], fault: string, wayOut: string]>([
    [[], "COMMAND", "batch submit FILE"],
    [["--url", "http://x"], "no command is given", "batch submit FILE"],
    [["frob", "--url", "http://x"], 'there is no command "frob".', "main.ts --help"],
    [["batch"], 'there is no command "batch"', '"batch submit", "batch watch"'],
    [["keys", "frob"], 'there is no command "keys frob"', '"keys add"'],
    [["batch", "submit"], "FILE is missing", "main.ts batch submit FILE"],
    [["batch", "submit", "a", "b"], '"b" is too much', "main.ts batch submit FILE"],
    [["batch", "submit", "missing.jsonl"], "cannot read missing.jsonl", "no such file"],
    [["batch", "submit", "."], "cannot read .", "it is a folder"],
    [["batch", "submit", "-", "--max-tokens", "many"], "--max-tokens", "a whole number"],
    [["batch", "submit", "-", "--model"], "'--model <value>' argument missing", "batch submit --help"],
    [["batch", "watch"], "ID is missing", "main.ts batch watch ID"],
    [["batch", "watch", ""], "ID is empty", "main.ts batch watch ID"],
    [["batch", "watch", "a", "b"], '"b" is too much', "main.ts batch watch ID"],
    [["batch", "results", "a", "-o", ""], "--output is empty", "leave it out"],
    [["batch", "cancel"], "ID is missing", "main.ts batch cancel ID"],
    [["jobs"], "ID is missing", "main.ts jobs ID"],
    [["jobs", "j", "--wait", "soon"], '--wait takes a number of seconds up to 3600, not "soon"', "up to 3600"],
    [["limits", "all"], '"all" is too much', "main.ts limits"],
    [["limits", "--frob"], "Unknown option '--frob'", "limits --help"],
    [["limits", "--key", "-k"], "'--key' argument is ambiguous", "--key=-XYZ"],
    [["limits", "--key", ""], "--key is empty", "leave it out"],
    [["limits", "--key", "a b"], "the key of --key holds a space", "no key has"],
    [["limits", "--url", "localhost:8080"], "--url is not an http(s) URL: localhost:8080", "http://HOST:PORT"],
    [["limits", "--url", "http://x:99999"], "--url is not an http(s) URL", "http://HOST:PORT"],
    [["limits", "--url", "http://a:secret@x"], "--url holds a user name or a password", "leave them out"],
    [["keys", "add"], "NAME is missing", "main.ts keys add NAME"],
    [["keys", "add", "a b"], "a key's name", "letters, digits"],
    [["keys", "add", "a", "--models", "x,,y"], "--models", "with commas between"],
    [["keys", "add", "a", "--write", "--config", "b.yaml"], "there is no b.yaml", "leave --config out"],
    [["keys", "add", "a", "--write", "--config", "."], "cannot read .", "it is a folder"],
  ])("%j", async (args, fault, wayOut) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toContain(fault);
    expect(stderr).toContain(wayOut);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).not.toContain("    at ");
    expect(stderr).not.toContain("secret");
    expect(gateway.seen).toEqual([]);
  });

  test("what a variable says is told by the variable's name", async () => {
    const { code, stderr } = await run(["limits"], { SLUICE_URL: "localhost:8080" });
    expect(code).toBe(2);
    expect(stderr).toContain("SLUICE_URL is not an http(s) URL: localhost:8080");
    expect((await run(["limits"], { SLUICE_KEY: "a\nb" })).stderr).toContain("the key of SLUICE_KEY");
  });

  test("a results file in no folder is told before results are read, and leaves nothing behind", async () => {
    gateway.status = "ended";
    const { code, stderr } = await run(["batch", "results", standInId, "-o", "nowhere/out.jsonl"]);
    expect(code).toBe(2);
    expect(stderr).toContain("cannot write nowhere/out.jsonl: there is no such file or folder");
    expect(gateway.seen.filter(({ path }) => path.endsWith("/results"))).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("help", () => {
  test("of everything is on standard output", async () => {
    const { code, stdout, stderr } = await run(["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("batch submit FILE");
  });

  test.each<readonly [words: string, lines: readonly RegExp[]]>([
    ["batch submit", [/"custom_id"/, /--model MODEL +for/, /--max-tokens NUMBER +for/, /--no-watch +end/]],
    ["batch watch", [/batch watch ID/]],
    ["batch results", [/-o, --output FILE +the file/]],
    ["batch cancel", [/batch cancel ID/]],
    ["jobs", [/--wait SECONDS +wait/]],
    ["limits", [/--json/, /--all +also targets/, /IN USE is interactive\+background/]],
    ["keys add", [/--write +add/, /--config FILE +the file/, /--models GLOBS +the models/]],
  ])("of %s is, with its options", async (words, lines) => {
    const { code, stdout, stderr } = await run([...words.split(" "), "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const line of [...lines, /--url URL +the gateway/]) expect(stdout).toMatch(line);
  });
});

describe("the key", () => {
  test("comes from --key, SLUICE_KEY or .sluice/key, in this order", async () => {
    await keepKey("sk-file\n");
    await run(["batch", "cancel", standInId, "--key", "sk-flag"]);
    await run(["batch", "cancel", standInId]);
    await run(["batch", "cancel", standInId], { SLUICE_KEY: "" });
    expect(gateway.seen.map(({ headers }) => headers["x-api-key"])).toEqual(["sk-flag", "sk-cli", "sk-file"]);
  });

  test("that is nowhere is told with where it may be", async () => {
    const { code, stderr } = await run(["limits"], { SLUICE_KEY: "" });
    expect(code).toBe(2);
    expect(stderr).toMatch(/no key: give --key, set SLUICE_KEY, or run where \.sluice\/key is/);
  });

  test("that lies in an empty file is told with the file", async () => {
    const file = await keepKey("\n");
    const { code, stderr } = await run(["limits"], { SLUICE_KEY: "" });
    expect({ code, stderr }).toEqual({ code: 2, stderr: `sluice: no key: ${file} is empty.\n` });
  });

  async function refused(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
    gateway.next(refuse(401, "authentication_error", "invalid x-api-key"));
    const { code, stderr } = await run(["limits", ...args], env);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^sluice: 401 authentication_error: invalid x-api-key \(request req_standin\)\n/);
    expect(stderr).toContain(gateway.url);
    expect(stderr).not.toContain("sk-");
    return stderr;
  }

  test("that an earlier start left, refused, is told with its file and how to get another", async () => {
    const file = await keepKey("sk-stale\n");
    const stderr = await refused([], { SLUICE_KEY: "" });
    expect(stderr).toContain(`The key came from ${file}, where an earlier \`npm start\` left it`);
    expect(stderr).toMatch(/--key or SLUICE_KEY; `node cli\/main\.ts keys add NAME` makes one/);
  });

  test("of the environment, refused, is told with the variable and what goes before it and after", async () => {
    await keepKey("sk-good\n");
    const stderr = await refused([], {});
    expect(stderr).toContain("The key came from SLUICE_KEY of the environment");
    expect(stderr).toContain("unset it to use .sluice/key, or give --key");
  });

  test("of the option, refused, is told with the option", async () => {
    const stderr = await refused(["--key", "sk-flag"], {});
    expect(stderr).toContain("The key came from --key");
    expect(stderr).toContain("Give another, or leave it out");
  });
});

describe("the address", () => {
  test("where nobody listens is told, with where it came from and how to start a gateway", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    for (const [args, env, origin] of [
      [["limits", "--url", url], {}, "The address came from --url."],
      [["limits"], { SLUICE_URL: url }, "The address came from SLUICE_URL of the environment."],
    ] as const) {
      const { code, stderr } = await run(args, env);
      expect(code).toBe(1);
      expect(stderr.split("\n")).toEqual([
        `sluice: no answer from ${url}: nothing listens there (ECONNREFUSED)`,
        `${origin} \`npm start\` starts a gateway and prints its address.`,
        "",
      ]);
    }
  });

  test("of somebody who is no gateway is told so", async () => {
    gateway.next(
      (response) => response.writeHead(404, "Not Found").end("<html>"),
      (response) => response.writeHead(200).end("<html>"),
    );
    const lost = await run(["limits"]);
    expect(lost.code).toBe(1);
    expect(lost.stderr).toMatch(
      /404 Not Found from http:.*\nThat is not how a Sluice gateway answers\. The address came/,
    );
    const strange = await run(["limits"]);
    expect(strange.code).toBe(1);
    expect(strange.stderr).toMatch(/200 from http:.*but no JSON\nThat is not how a Sluice gateway answers\./);
  });

  test("that speaks no TLS is told so", async () => {
    const { code, stderr } = await run(["limits", "--url", gateway.url.replace("http:", "https:")]);
    expect(code).toBe(1);
    expect(stderr).toContain("it does not speak TLS; is it http://?");
  });
});
