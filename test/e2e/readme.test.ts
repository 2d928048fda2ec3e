import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLocalStack, type LocalStack } from "../support/local-stack.ts";

// What the README says to type, typed as it stands there into what `npm start` brings up where nothing is configured.

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);
const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = [...readme.matchAll(/```(?:sh|js|python)\n([^]*?)```/g)].map(([, block = ""]) => block);
const typed = new Set<string>();

let local: LocalStack;
beforeAll(async () => {
  local = await startLocalStack();
  await symlink(join(root, "node_modules"), join(local.folder, "node_modules"));
});
afterAll(() => local?.stop());

/** The block that begins so; it counts as typed. */
function blockOf(beginning: string): string {
  const found = blocks.filter((block) => !typed.has(block) && block.startsWith(beginning));
  expect(found[0], beginning).toBeDefined();
  typed.add(found[0] ?? "");
  return (found[0] ?? "").replaceAll("http://127.0.0.1:8080", local.url);
}

async function type(script: string): Promise<string> {
  const text = script.replaceAll("npm run sluice --", `"${process.execPath}" "${join(root, "cli/main.ts")}"`);
  const { PATH } = process.env;
  const { stdout } = await run("bash", ["-ec", text], { cwd: local.folder, env: { PATH, SLUICE_URL: local.url } });
  return stdout;
}

const curl = "curl -s http://127.0.0.1:8080/v1/messages \\\n";

test("a call by curl, and its trace by the id in its headers", async () => {
  const call = blockOf(curl);
  expect(JSON.parse(await type(call))).toMatchObject({ type: "message", role: "assistant" });
  const answer = await type(call.replace("curl -s ", "curl -si "));
  const id = /^request-id: (\S+)/im.exec(answer)?.[1] ?? "";
  const trace = blockOf("curl -s http://127.0.0.1:8080/v1/requests/");
  expect(JSON.parse(await type(trace.replace("REQUEST_ID", id)))).toMatchObject({ status: 200 });
});

test("the official SDK", async () => {
  await writeFile(join(local.folder, "hello.mjs"), blockOf("import { readFileSync }"));
  expect(await type(`"${process.execPath}" hello.mjs`)).toContain("type: 'text'");
});

test("a failover, which its headers tell", async () => {
  const answer = await type(blockOf("curl -si http://127.0.0.1:8080/v1/messages"));
  expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  expect(answer).toMatch(/^x-sluice-attempts: 3\r$/m);
  expect(answer).toMatch(/^x-sluice-provider: simulator-2\r$/m);
});

test("a job, and its answer", async () => {
  const [submit = "", poll = ""] = blockOf('curl -s http://127.0.0.1:8080/v1/messages -H "prefer').split(
    /^(?=curl -s ")/m,
  );
  const job = JSON.parse(await type(submit)) as { id: string; type: string };
  expect(job.type).toBe("message_job");
  expect(JSON.parse(await type(poll.replace("JOB_ID", job.id)))).toMatchObject({ type: "message" });
});

test("the command line: a batch that succeeds, limits, a key", async () => {
  const output = await type(blockOf('echo \'{"custom_id"'));
  expect(output).toMatch(/^msgbatch_\w+\nPROVIDER +MODEL [^]*\nLANE +WAITING [^]*\nsk-sluice-[\w-]+\n$/);
});

test("nothing else is to be typed but what starts it, tests it, or needs what may not be here", () => {
  const left = blocks.filter((block) => !typed.has(block)).map((block) => block.split("\n", 1)[0]);
  expect(left).toEqual([
    "npm ci && npm start",
    "npm ci && npm test",
    "import anthropic",
    expect.stringMatching(/^ANTHROPIC_BASE_URL=.* ANTHROPIC_API_KEY="" \\$/),
  ]);
});

test("its links lead somewhere, and so do those of the pages it leads to", () => {
  const broken: string[] = [];
  const pages = ["README.md"];
  for (const page of pages) {
    for (const [, link = ""] of readFileSync(join(root, page), "utf8").matchAll(/\]\(((?!https?:)[^)#\s]+)[^)]*\)/g)) {
      const path = join(page, "..", link);
      if (!existsSync(join(root, path))) broken.push(`${page}: ${link}`);
      else if (path.endsWith(".md") && !pages.includes(path)) pages.push(path);
    }
  }
  expect(broken).toEqual([]);
  expect(pages).toContain("docs/providers.md");
});
