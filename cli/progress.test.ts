import { expect, test } from "vitest";
import type { Batch, Counts } from "./batch.ts";
import { createProgress, drawBar, sayProgress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

function batch(progress: Partial<Counts>, status: Batch["processing_status"] = "in_progress"): Batch {
  const none = { processing: 0, succeeded: 0, errored: 0, canceled: 0, expired: 0 };
  return {
    id: "msgbatch_1",
    processing_status: status,
    request_counts: { ...none, processing: 100 },
    progress: { ...none, ...progress },
    created_at: "2026-11-21T00:00:00Z",
    expires_at: "2026-11-22T00:00:00Z",
    ended_at: null,
  };
}

function terminalOf(isLive: boolean): Terminal & { readonly said: string[] } {
  const said: string[] = [];
  return {
    said,
    out: (text) => void said.push(text),
    pour: () => Promise.resolve(),
    note: (line) => void said.push(line),
    redraw: (line) => void said.push(`~${line}`),
    isLive,
    columns: 80,
  };
}

test("the bar shows the share that is done and what failed", () => {
  const line = drawBar(batch({ processing: 50, succeeded: 48, errored: 2 }), 80);
  expect(line).toBe(`[${"#".repeat(20)}${"-".repeat(20)}] 50 % 50/100 2 errored`);
});

test.each([200, 80, 40, 20, 10, 3])("the bar fits into %i columns", (columns) => {
  const line = drawBar(
    batch({ processing: 1, succeeded: 99_999, errored: 12, canceled: 7, expired: 3 }, "canceling"),
    columns,
  );
  expect(line.length).toBeLessThan(columns);
});

test("an unfinished batch is never told as 100 %", () => {
  expect(drawBar(batch({ processing: 1, succeeded: 99_999 }), 80)).toContain("99 %");
});

test("a gateway that tells no live counts is taken at its word", () => {
  const { progress: _, ...without } = batch({});
  expect(sayProgress(without)).toBe("msgbatch_1: 0 of 100 (100 processing)");
});

test("without a terminal there is a line at first, then when something changed, and not too often", () => {
  const terminal = terminalOf(false);
  const progress = createProgress(terminal);
  progress.show(batch({ processing: 100 }), 0);
  progress.show(batch({ processing: 90, succeeded: 10 }), 1_000);
  progress.show(batch({ processing: 80, succeeded: 20 }), 10_000);
  progress.show(batch({ processing: 80, succeeded: 20 }), 30_000);
  expect(terminal.said).toEqual([
    "msgbatch_1: 0 of 100 (100 processing)",
    "msgbatch_1: 20 of 100 (20 succeeded, 80 processing)",
  ]);
});

test("on a terminal the line is redrawn every time", () => {
  const terminal = terminalOf(true);
  const progress = createProgress(terminal);
  for (let i = 0; i < 3; i += 1) progress.show(batch({ processing: 100 }), i);
  expect(terminal.said).toHaveLength(3);
});
