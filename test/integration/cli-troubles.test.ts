import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { resultLine } from "#shared/messages/batch-result.ts";
import { runCommand } from "../../cli/run-command.ts";
import type { Terminal } from "../../cli/terminal.ts";
import { json, standInId, startBatchStandIn, type BatchStandIn } from "../support/batch-stand-in.ts";

// What the command line says of batches that failed and of targets that are not asked.

let gateway: BatchStandIn;
beforeEach(async () => {
  gateway = await startBatchStandIn();
});
afterEach(() => gateway[Symbol.asyncDispose]());

async function run(
  ...argv: string[]
): Promise<{ readonly code: number; readonly out: string; readonly notes: string[] }> {
  let out = "";
  const notes: string[] = [];
  const terminal: Terminal = {
    out: (text) => void (out += text),
    pour: () => Promise.reject(new Error("nothing is poured")),
    note: (line) => void notes.push(line),
    redraw: () => undefined,
    isLive: false,
    columns: 80,
  };
  const code = await runCommand({
    argv,
    env: { SLUICE_URL: gateway.url, SLUICE_KEY: "sk-cli" },
    terminal,
    stdin: Readable.from([]),
    path: (file) => file,
    readLocalKey: () => undefined,
    self: "sluice",
    signal: new AbortController().signal,
    retryMs: 1,
  });
  return { code, out, notes };
}

const succeeded = (id: string): string =>
  `${JSON.stringify({ custom_id: id, result: { type: "succeeded", message: { text: '"errored"' } } })}\n`;

function errored(id: string, type: string, message: string): string {
  const error = { type: "error", error: { type, message }, request_id: `req_${id}` };
  return resultLine(id, { end: "errored", payload: Buffer.from(JSON.stringify(error)) }).toString();
}

function end(counts: Partial<BatchStandIn["progress"]>): void {
  Object.assign(gateway.progress, { processing: 0, ...counts });
  gateway.status = "ended";
}

test("a batch that failed in part says which errors there were, the most frequent first", async () => {
  const lines = ["a", "b"].map((id) => errored(id, "invalid_request_error", `max_tokens of ${id}`));
  lines.push(...Array.from({ length: 3_000 }, (_, i) => succeeded(`s${i}`)));
  lines.push(
    ...["c", "d", "e"].map((id) => errored(id, "api_error", "This gateway cannot \u001B[2J use its accounts.")),
  );
  gateway.results = lines.join("");
  gateway.traced.add("req_a").add("req_c");
  end({ succeeded: 3_000, errored: 5 });
  const { code, notes, out } = await run("batch", "watch", standInId);
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(notes).toEqual([
    `${standInId} has ended: 3000 succeeded, 5 errored.`,
    '  3 x api_error, the first in "c": "This gateway cannot \\u001b[2J use its accounts."',
    '  2 x invalid_request_error, the first in "a": "max_tokens of a"',
    'Their lines in the results have "type":"errored"; what happened to "c": GET /v1/requests/req_c',
    expect.stringContaining("batch results") as string,
  ]);
});

test("only a request of which there is a trace is named with it, and none where there is none", async () => {
  gateway.results = ["a", "b", "c"].map((id) => errored(id, "not_found_error", `model: ${id}`)).join("");
  gateway.results += errored("d", "api_error", "m") + errored("e", "api_error", "m");
  gateway.traced.add("req_d").add("req_e");
  end({ errored: 5 });
  const lastWords = async (): Promise<string | undefined> => (await run("batch", "watch", standInId)).notes.at(-2);
  const line = 'Their lines in the results have "type":"errored"';
  expect(await lastWords()).toBe(`${line}; what happened to "d": GET /v1/requests/req_d`);
  gateway.traced.clear();
  expect(await lastWords()).toBe(line);
});

test("a batch that is accepted says how many of its requests errored at once", async () => {
  const submit = async (requests: number, errors: number): Promise<string | undefined> => {
    const lines = Array.from({ length: requests }, (_, i) => ({ custom_id: `r${i}`, params: { model: "m" } }));
    const file = join(tmpdir(), `sluice-${process.pid}-requests.jsonl`);
    await writeFile(file, lines.map((line) => JSON.stringify(line)).join("\n"));
    gateway.progress.errored = errors;
    const { code, notes } = await run("batch", "submit", file, "--no-watch");
    expect(code).toBe(0);
    await rm(file);
    return notes.at(-1);
  };
  expect(await submit(3, 0)).toBe("3 requests accepted.");
  expect(await submit(3, 2)).toBe("3 requests accepted, of which 2 errored at once.");
  expect(await submit(1, 1)).toBe("One request accepted, which errored at once.");
});

test("a batch that went well is not read before its results are asked for", async () => {
  end({ succeeded: 2 });
  expect((await run("batch", "watch", standInId)).code).toBe(0);
  expect(gateway.seen.map(({ path }) => path)).toEqual([`/v1/messages/batches/${standInId}`]);
});

test("results that cannot be read change neither the end nor what else is said", async () => {
  end({ errored: 2 });
  const batch = { id: standInId, processing_status: "ended", request_counts: gateway.progress };
  gateway.next(
    (response) => json(response, 200, batch),
    (response) => {
      response.writeHead(200, { "content-length": "100000" });
      response.write(errored("a", "api_error", "m"), () => response.destroy());
    },
  );
  const { code, notes } = await run("batch", "watch", standInId);
  expect(code).toBe(1);
  expect(notes).toEqual([
    `${standInId} has ended: 2 errored.`,
    "Why cannot be read at the moment: the results say.",
    expect.stringContaining("batch results") as string,
  ]);
});

const known = { model: "m", serves: ["m"], limits: {}, limits_at: null, concurrency: null };
const until = "2026-11-21T00:01:00.000Z";

test("limits say in words why a target is not asked, and until when", async () => {
  const out = { state: "unavailable", blocked_until: until, unavailable_until: until };
  const targets = [
    { ...known, provider: "well", state: "ok", reason: null, blocked_until: null, last_error: null },
    {
      ...known,
      ...out,
      provider: "one",
      reason: "credential_refused",
      last_error: { status: 401, error: "authentication_error" },
    },
    { ...known, ...out, provider: "two", reason: "account_exhausted", last_error: { status: 402, error: null } },
    {
      ...known,
      ...out,
      provider: "three",
      reason: "connect_failed",
      last_error: { status: null, error: "ECONNREFUSED" },
    },
    { ...known, ...out, provider: "four", reason: "of_tomorrow", last_error: null },
  ];
  gateway.next((response) =>
    json(response, 200, { type: "limits", at: "2026-11-21T00:00:00.000Z", targets, lanes: {} }),
  );
  const lines = (await run("limits")).out.split("\n").map((line) => line.replaceAll(/ {2,}/g, " | "));
  expect(lines).toContain("one | m | unavailable 60.0s | - | -");
  expect(lines.filter((line) => line.includes(until))).toEqual([
    `one | m | ${until} | credential refused: check its entry in sluice.yaml (401 authentication_error)`,
    `two | m | ${until} | out of credit, over its spend limit or on hold: see its account (402)`,
    `three | m | ${until} | breaker open: cannot be reached (ECONNREFUSED)`,
    `four | m | ${until} | of_tomorrow`,
  ]);
});

test("while every target is asked, and from a gateway that gives no reasons, limits are what they were", async () => {
  const targets = [
    { ...known, provider: "one", state: "blocked", blocked_until: until, unavailable_until: null },
    {
      ...known,
      provider: "two",
      state: "ok",
      blocked_until: null,
      unavailable_until: null,
      reason: null,
      last_error: null,
    },
  ];
  gateway.next((response) =>
    json(response, 200, { type: "limits", at: "2026-11-21T00:00:00.000Z", targets, lanes: {} }),
  );
  const { out } = await run("limits");
  expect(out).toContain("blocked 60.0s");
  expect(out).not.toContain("NOT ASKED");
});

function answerLimits(targets: readonly object[]): void {
  gateway.next((response) =>
    json(response, 200, { type: "limits", at: "2026-11-21T00:00:00.000Z", targets, lanes: {} }),
  );
}

test("a provider that is out as a whole is one row, unless its targets are out for several reasons", async () => {
  const concurrency = { limit: 8, interactive: 0, background: 0, workers: 1 };
  const out = { ...known, state: "unavailable", unavailable_until: until, concurrency };
  const later = "2026-11-21T00:02:00.000Z";
  const reason = "account_exhausted";
  const last_error = { status: 402, error: null };
  answerLimits([
    { ...out, provider: "one", model: "a", blocked_until: later, reason, last_error },
    { ...out, provider: "one", model: "b", blocked_until: until, reason, last_error },
    { ...out, provider: "one", model: "unused", concurrency: null, blocked_until: until, reason, last_error },
    { ...out, provider: "two", model: "a", blocked_until: until, reason, last_error },
    { ...out, provider: "two", model: "b", blocked_until: until, reason: "rate_limited", last_error: null },
    { ...out, provider: "three", model: "a", blocked_until: until, reason, last_error },
    { ...out, provider: "three", model: "b", state: "ok", blocked_until: null, reason: null, last_error: null },
  ]);
  const said = (await run("limits")).out;
  const lines = said.split("\n").map((line) => line.replaceAll(/ {2,}/g, " | "));
  const why = "out of credit, over its spend limit or on hold: see its account (402)";
  expect(lines.slice(lines.findIndex((line) => line.startsWith("NOT ASKED")) + 1, -2)).toEqual([
    `one | all 3 | ${until} | ${why}`,
    `two | a | ${until} | ${why}`,
    `two | b | ${until} | rate limited`,
    `three | a | ${until} | ${why}`,
    "",
  ]);
  expect(said).not.toContain("unused");
});

test("targets that nobody used are left out, and how they are seen is said", async () => {
  const well = { ...known, state: "ok", reason: null, blocked_until: null, unavailable_until: null, last_error: null };
  const targets = [
    { ...well, provider: "one", model: "used", concurrency: { limit: 8, interactive: 0, background: 0, workers: 1 } },
    { ...well, provider: "one", model: "told", limits: { requests: { limit: 9, remaining: 8, reset: null } } },
    { ...well, provider: "one", model: "never" },
    { ...well, provider: "two", model: "never" },
  ];
  answerLimits(targets);
  const some = await run("limits");
  expect(some.out).toMatch(/one +used[^]*one +told/);
  expect(some.out).not.toContain("never");
  expect(some.notes).toEqual(["Left out: 2 of 4 targets, that nobody has used. See them with:  sluice limits --all"]);
  answerLimits(targets);
  const all = await run("limits", "--all");
  expect(all.out).toMatch(/two +never/);
  expect(all.notes).toEqual([]);
});
