import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { runInThisContext } from "node:vm";

import type Anthropic from "@anthropic-ai/sdk";
import type AnthropicV0 from "anthropic-sdk-0";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { eventually } from "../support/eventually.ts";
import { sdk, sdkV0 } from "../support/clients.ts";
import { startStack, type Stack } from "../support/stack.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

// What our documents and the official SDKs say to type, typed as it stands there.

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

let upstream: Upstream;
let stack: Stack;
let folder: string;

beforeAll(async () => {
  upstream = await startUpstream();
  stack = await startStack({ upstreams: [upstream] });
  folder = await mkdtemp(join(tmpdir(), "sluice-documents-"));
  await writeFile(join(folder, "key"), stack.key);
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(() => void process.stderr.write(`${stack.log().slice(-6000)}\n`));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await stack?.stop();
  await upstream?.close();
});

/** The shell blocks of a document below a heading or a phrase of it, up to the next heading. */
async function shellBelow(file: string, phrase: string): Promise<string[]> {
  const text = await readFile(join(root, file), "utf8");
  const at = text.indexOf(phrase);
  expect(at, phrase).toBeGreaterThan(-1);
  const [section = ""] = text.slice(at + phrase.length).split(/^## /m);
  return [...section.matchAll(/```sh\n([^]*?)```/g)].map(([, block = ""]) => block);
}

/** Runs commands where the stack is what the document's gateway is; resolves with what they print. */
async function shell(script: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const text = script.replaceAll("http://127.0.0.1:8080", stack.url).replaceAll(".sluice/key", "key");
  const { stdout } = await run("bash", ["-ec", text], { cwd: folder, env: { ...process.env, ...env } });
  return stdout;
}

describe("an asynchronous call by curl", () => {
  test("as the README shows it", async () => {
    const [block = ""] = await shellBelow("README.md", "**Ask now, collect later**");
    const [submit = "", poll = ""] = block.split(/^(?=curl -s "[^"]*JOB_ID)/m);
    const job = JSON.parse(await shell(submit)) as { id: string; type: string };
    expect(job.type).toBe("message_job");
    expect(JSON.parse(await shell(poll.replace("JOB_ID", job.id)))).toMatchObject({
      type: "message",
      content: [{ text: "echo: Hello" }],
    });
  });

  test("as docs/jobs.md shows it, with its loop for scripts", async () => {
    const [submit = "", poll = "", loop = ""] = await shellBelow("docs/jobs.md", "## Ask now, collect later");
    const submitted = await shell(submit);
    expect(submitted).toMatch(/^HTTP\/1.1 202 Accepted\r\n[^]*location: \/v1\/jobs\/job_/);
    const id = /"id":"(job_\w+)"/.exec(submitted)?.[1] ?? "";
    const polled = await shell(poll.replace("JOB_ID", id));
    expect(polled).toMatch(/^HTTP\/1.1 200 OK\r\n[^]*x-sluice-job-status: succeeded\r\n[^]*echo: Hello/);
    await shell(loop, { URL: stack.url, JOB: id, KEY: stack.key });
    expect(await readFile(join(folder, "answer.json"), "utf8")).toContain("echo: Hello");
  });
});

interface Example {
  /** Within node_modules. */
  readonly file: string;
  /** Such as `client.messages.batches.create`. */
  readonly method: string;
  readonly id?: string;
}

/** Runs what an SDK shows of a method as it stands there, and resolves with what it makes, or with all it loops over. */
async function runExample(client: Anthropic | AnthropicV0, { file, method, id = "" }: Example): Promise<unknown> {
  const text = await readFile(join(root, "node_modules", file), "utf8");
  const examples = [...text.matchAll(/^ *\* ```ts\n([^]*?)^ *\* ```$/gm)].map(([, lines = ""]) =>
    lines.replaceAll(/^ *\* ?/gm, ""),
  );
  const example = examples.find((each) => each.includes(`${method}(`));
  if (example === undefined) throw new Error(`${file} shows no ${method}`);
  const [, looped = ""] = /for await \(const (\w+) of/.exec(example) ?? [];
  const [, made = ""] = /^const (\w+) =/m.exec(example) ?? [];
  const code = example.replace("message_batch_id", id).replace("// ...", `seen.push(${looped});`);
  const act = runInThisContext(
    `(async (client) => { const seen = []; ${code}; return ${looped ? "seen" : made}; })`,
  ) as (client: Anthropic | AnthropicV0) => Promise<unknown>;
  return act(client);
}

describe.each([
  ["@anthropic-ai/sdk", "messages"],
  ["@anthropic-ai/sdk", "beta.messages"],
  ["anthropic-sdk-0", "messages"],
  ["anthropic-sdk-0", "beta.messages"],
])("the examples of batches in %s, %s", (name, resource) => {
  const file = `${name}/resources/${resource.replace(".", "/")}/batches.d.ts`;

  test("make, find, list, read, cancel and delete a batch, unchanged but for the base URL", async () => {
    const client = name === "anthropic-sdk-0" ? sdkV0(stack) : sdk(stack);
    const example = (method: string, id?: string): Promise<unknown> =>
      runExample(client, { file, method: `client.${resource}.batches.${method}`, ...(id ? { id } : {}) });
    const created = (await example("create")) as { readonly id: string };
    expect(created).toMatchObject({ type: "message_batch", request_counts: { processing: 1 } });
    const { id } = created;
    await eventually(async () => expect(await example("retrieve", id)).toMatchObject({ processing_status: "ended" }));
    expect(await example("list")).toContainEqual(expect.objectContaining({ id }));
    expect(await example("results", id)).toMatchObject([
      {
        custom_id: "my-custom-id-1",
        result: { type: "succeeded", message: { content: [{ text: "echo: Hello, world" }] } },
      },
    ]);
    expect(await example("cancel", id)).toMatchObject({ id, processing_status: "ended" });
    expect(await example("delete", id)).toEqual({ id, type: "message_batch_deleted" });
    expect(await example("list")).not.toContainEqual(expect.objectContaining({ id }));
  });
});
