import { createHash } from "node:crypto";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { json, refuse, standInId, startBatchStandIn, type BatchStandIn } from "../support/batch-stand-in.ts";
import { runCli, startCli, type CliEnd, type CliOptions, type CliProcess } from "../support/cli-process.ts";
import { eventually } from "../support/eventually.ts";

const requestLine = (id: string): string =>
  `{"custom_id":"${id}","params":{"model":"m","max_tokens":1,"messages":[]}}\n`;

let gateway: BatchStandIn;
let folder: string;

beforeEach(async () => {
  gateway = await startBatchStandIn();
  folder = await mkdtemp(join(tmpdir(), "sluice-cli-"));
});
afterEach(async () => {
  await gateway[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

type RunOptions = Partial<Pick<CliOptions, "env" | "stdin">>;

function surroundings({ env, ...options }: RunOptions): CliOptions {
  return { ...options, cwd: folder, env: { SLUICE_URL: gateway.url, SLUICE_KEY: "sk-cli", ...env } };
}

function start(args: readonly string[], options: RunOptions = {}): CliProcess {
  return startCli(args, surroundings(options));
}

function run(args: readonly string[], options: RunOptions = {}): Promise<CliEnd> {
  return runCli(args, surroundings(options));
}

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text);
  return name;
}

function end(counts: Partial<BatchStandIn["progress"]>): void {
  Object.assign(gateway.progress, { processing: 0, ...counts });
  gateway.status = "ended";
}

describe("batch submit", () => {
  test("sends the file as one batch, watches it and ends with 0 when all went well", async () => {
    const file = await write("in.jsonl", requestLine("a") + requestLine("b"));
    const running = start(["batch", "submit", file]);
    await eventually(() => expect(running.stderr).toContain("0 of 2"));
    expect(running.stdout).toBe(`${standInId}\n`);
    end({ succeeded: 2 });
    expect(await running.ended).toBe(0);
    expect(running.stderr).toContain("has ended: 2 succeeded");
    expect(running.stderr).toContain(`batch results ${standInId}`);
    // Plain output: nothing is redrawn where there is no terminal.
    expect(running.stderr).not.toContain("\r");
    expect(running.stderr).not.toContain("\u001B");
    const [create] = gateway.seen;
    expect(create?.headers).toMatchObject({ "x-api-key": "sk-cli", "anthropic-version": "2023-06-01" });
    expect(JSON.parse(create?.body ?? "")).toEqual({
      requests: ["a", "b"].map((id) => JSON.parse(requestLine(id)) as unknown),
    });
  });

  test("ends with 1 when a request failed", async () => {
    const file = await write("in.jsonl", requestLine("a") + requestLine("b"));
    const running = start(["batch", "submit", file]);
    await eventually(() => expect(running.stdout).not.toBe(""));
    end({ succeeded: 1, errored: 1 });
    expect(await running.ended).toBe(1);
    expect(running.stderr).toContain("1 succeeded, 1 errored");
  });

  test("takes plain prompts and standard input, and need not watch", async () => {
    const args = ["batch", "submit", "-", "--model", "claude-opus-4-8", "--max-tokens", "9", "--no-watch"];
    const { code, stdout } = await run(args, { stdin: '{"custom_id":"a","prompt":"hello"}\n' });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${standInId}\n` });
    expect(JSON.parse(gateway.seen[0]?.body ?? "")).toEqual({
      requests: [
        {
          custom_id: "a",
          params: { model: "claude-opus-4-8", max_tokens: 9, messages: [{ role: "user", content: "hello" }] },
        },
      ],
    });
  });

  test("a faulty line is told with its number, and nothing is sent", async () => {
    const file = await write("in.jsonl", `${requestLine("a")}{"custom_id":"b"}\n`);
    const { code, stderr, stdout } = await run(["batch", "submit", file]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("line 2:");
    expect(gateway.seen).toEqual([]);
  });

  test("a faulty line of a pipe makes no batch", async () => {
    const { code, stderr } = await run(["batch", "submit", "-"], { stdin: `${requestLine("a")}nonsense\n` });
    expect(code).toBe(2);
    expect(stderr).toContain("line 2: not JSON");
    expect(gateway.seen).toEqual([]);
  });

  test("Ctrl-C leaves the batch running and says how to come back", async () => {
    const file = await write("in.jsonl", requestLine("a"));
    const running = start(["batch", "submit", file]);
    await eventually(() => expect(running.stderr).toContain("0 of 1"));
    running.interrupt();
    expect(await running.ended).toBe(130);
    expect(running.stderr).toContain(`batch watch ${standInId}`);
    expect(gateway.seen.some(({ path }) => path.endsWith("/cancel"))).toBe(false);
  });

  test("a hundred thousand requests are sent without holding them", async () => {
    const lines = Array.from({ length: 100_000 }, (_, i) => requestLine(`request-${i}`));
    const file = await write("in.jsonl", lines.join(""));
    const { code } = await run(["batch", "submit", file, "--no-watch"]);
    expect(code).toBe(0);
    expect(gateway.progress.processing).toBe(100_000);
  });

  test("what the gateway refuses is told in its words", async () => {
    gateway.next(refuse(529, "overloaded_error", "The batch does not fit now."));
    const file = await write("in.jsonl", requestLine("a"));
    const { code, stderr } = await run(["batch", "submit", file]);
    expect(code).toBe(1);
    expect(stderr).toBe("sluice: 529 overloaded_error: The batch does not fit now. (request req_standin)\n");
    // What makes something is asked once.
    expect(gateway.seen).toHaveLength(1);
  });
});

describe("batch watch, results, cancel", () => {
  test("watching goes on when the gateway is away for a moment", async () => {
    gateway.progress.processing = 1;
    gateway.next(refuse(529, "overloaded_error", "later"), (response) => response.destroy());
    const running = start(["batch", "watch", standInId]);
    await eventually(() => expect(running.stderr).toContain("0 of 1"), { timeoutMs: 10_000 });
    end({ succeeded: 1 });
    expect(await running.ended).toBe(0);
  });

  test("an unknown batch is a failure at once", async () => {
    const { code, stderr } = await run(["batch", "watch", "msgbatch_other"]);
    expect(code).toBe(1);
    expect(stderr).toContain("404 not_found_error");
    expect(gateway.seen).toHaveLength(1);
  });

  test("results are written to standard output or into a file that is whole", async () => {
    gateway.results = '{"custom_id":"a","result":{"type":"succeeded","message":{"text":"ä"}}}\n'.repeat(5_000);
    end({ succeeded: 5_000 });
    expect(await run(["batch", "results", standInId])).toMatchObject({ code: 0, stdout: gateway.results });
    const { code, stdout } = await run(["batch", "results", standInId, "-o", "out.jsonl"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(await readFile(join(folder, "out.jsonl"), "utf8")).toBe(gateway.results);
  });

  test("results that break off leave no file", async () => {
    end({ succeeded: 1 });
    gateway.next(
      (response) =>
        json(response, 200, {
          id: standInId,
          processing_status: "ended",
          request_counts: { processing: 0, succeeded: 1, errored: 0, canceled: 0, expired: 0 },
        }),
      (response) => {
        response.writeHead(200, { "content-length": "100" });
        response.write("{", () => response.destroy());
      },
    );
    const { code } = await run(["batch", "results", standInId, "-o", "out.jsonl"]);
    expect(code).toBe(1);
    expect(await readdir(folder)).toEqual([]);
  });

  test("results of a batch that failed in part end with 1, of one that runs with 1 and no file", async () => {
    const early = await run(["batch", "results", standInId, "-o", "out.jsonl"]);
    expect(early.code).toBe(1);
    expect(early.stderr).toContain("has not ended yet");
    expect(await readdir(folder)).toEqual([]);
    end({ succeeded: 1, expired: 1 });
    expect((await run(["batch", "results", standInId])).code).toBe(1);
  });

  test("cancel asks once and says what comes of it", async () => {
    gateway.progress.processing = 5;
    const { code, stderr } = await run(["batch", "cancel", standInId]);
    expect(code).toBe(0);
    expect(stderr).toContain("is being canceled: 5 processing");
    expect(gateway.seen.map(({ method }) => method)).toEqual(["POST"]);
  });
});

describe("jobs and limits", () => {
  test("a job is shown as JSON, and its end is the exit code", async () => {
    gateway.next(
      (response) => json(response, 200, { id: "job_1", type: "message_job", status: "succeeded" }),
      (response) => json(response, 200, { id: "job_1", type: "message_job", status: "failed" }),
    );
    const { code, stdout } = await run(["jobs", "job_1", "--wait", "30"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ id: "job_1" });
    expect(gateway.seen[0]?.path).toBe("/v1/jobs/job_1?wait=30");
    expect((await run(["jobs", "job_1"])).code).toBe(1);
  });

  test("limits are a table, or the answer as it came", async () => {
    const answer = {
      type: "limits",
      at: "2026-11-21T00:00:00.000Z",
      targets: [
        {
          provider: "one",
          model: "claude-opus-4-8",
          serves: ["claude-opus-4-8"],
          state: "blocked",
          blocked_until: "2026-11-21T00:00:12.500Z",
          unavailable_until: null,
          limits: { requests: { limit: 50, remaining: 0, reset: null } },
          limits_at: "2026-11-21T00:00:00.000Z",
          concurrency: { limit: 8, interactive: 1, background: 4, workers: 1 },
        },
      ],
      lanes: { background: { waiting: 7, parked: 2, running: 4, oldest_waiting_ms: 61_000 } },
    };
    gateway.next(
      (response) => json(response, 200, answer),
      (response) => json(response, 200, answer),
    );
    const { stdout } = await run(["limits"]);
    expect(stdout).toMatch(/one +claude-opus-4-8 +blocked 12\.5s +1\+4 of 8 +requests 0\/50\n/);
    expect(stdout).toMatch(/background +7 +2 +4 +61\.0s\n/);
    expect(JSON.parse((await run(["limits", "--json"])).stdout)).toEqual(answer);
  });
});

describe("keys add", () => {
  test("prints the key once, and the lines with its SHA-256 beside it", async () => {
    const { code, stdout, stderr } = await run(["keys", "add", "laptop", "--models", "claude-*, other"]);
    expect(code).toBe(0);
    const key = stdout.trim();
    expect(key).toMatch(/^sk-sluice-[\w-]{32}$/);
    const sha256 = createHash("sha256").update(key).digest("hex");
    expect(parse(stderr)).toEqual({ keys: [{ name: "laptop", sha256, models: ["claude-*", "other"] }] });
    expect(stderr).not.toContain(key);
    expect(gateway.seen).toEqual([]);
  });

  test("with --write the file gets it, and keeps its comments and its mode", async () => {
    const text = '# mine\nkeys:\n  - { name: ci, key: "${CI_KEY}" } # for builds\n\nlog: { level: info }\n';
    const file = await write("sluice.yaml", text);
    await chmod(join(folder, file), 0o640);
    const { code, stdout } = await run(["keys", "add", "laptop", "--write"]);
    expect(code).toBe(0);
    const written = await readFile(join(folder, file), "utf8");
    expect(written).toContain('  - { name: ci, key: "${CI_KEY}" } # for builds\n');
    expect(written.startsWith("# mine\n")).toBe(true);
    expect(written).not.toContain(stdout.trim());
    expect((parse(written) as { keys: unknown[] }).keys).toHaveLength(2);
    expect((await stat(join(folder, file))).mode & 0o777).toBe(0o640);
    const again = await run(["keys", "add", "laptop", "--write"]);
    expect(again.code).toBe(2);
    expect(again.stdout).toBe("");
    expect(await readdir(folder)).toEqual(["sluice.yaml"]);
  });

  test("what to do with the lines is said beside them", async () => {
    const { stderr } = await run(["keys", "add", "laptop"]);
    expect(stderr).toContain("# Put these lines into sluice.yaml");
    expect(stderr).toContain("SIGHUP");
    expect(stderr).toContain(".sluice/key is refused");
  });

  test("with --write a sluice.yaml that is not there is made", async () => {
    const { code, stderr } = await run(["keys", "add", "laptop", "--write"]);
    expect(code).toBe(0);
    expect(stderr).toContain("Made sluice.yaml with it.");
    expect(stderr).toContain(".sluice/key is refused");
    expect(parse(await readFile(join(folder, "sluice.yaml"), "utf8"))).toMatchObject({ keys: [{ name: "laptop" }] });
    const second = await run(["keys", "add", "second", "--write"]);
    expect(second.stderr).toContain("Added to sluice.yaml.");
    expect(second.stderr).not.toContain(".sluice/key");
  });

  test("a file that is named and not there is not made", async () => {
    const { code, stderr } = await run(["keys", "add", "laptop", "--write", "--config", "other.yaml"]);
    expect(code).toBe(2);
    expect(stderr).toContain("there is no other.yaml");
    const ofVariable = await run(["keys", "add", "laptop", "--write"], { env: { SLUICE_CONFIG: "another.yaml" } });
    expect(ofVariable.stderr).toContain("there is no another.yaml: SLUICE_CONFIG names it");
    expect([ofVariable.code, await readdir(folder)]).toEqual([2, []]);
  });
});

test("--version prints it", async () => {
  const { version } = JSON.parse(await readFile("package.json", "utf8")) as { version: string };
  expect(await run(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n` });
});
