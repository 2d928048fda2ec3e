import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { createTerminal } from "./terminal.ts";

function output(facts: { readonly isTTY?: boolean; readonly columns?: number } = {}) {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString());
      done();
    },
  });
  return Object.assign(stream, facts, { written });
}

test("on a terminal a line takes the place of the one before, and goes before anything else is said", () => {
  const [stdout, stderr] = [output(), output({ isTTY: true, columns: 120 })];
  const terminal = createTerminal(stdout, stderr);
  terminal.redraw("10 %");
  terminal.redraw("20 %");
  terminal.note("done");
  terminal.out("id\n");
  const clear = "\r\u001B[2K";
  expect(stderr.written.join("")).toBe(`${clear}10 %${clear}20 %${clear}done\n`);
  expect(stdout.written).toEqual(["id\n"]);
  expect([terminal.isLive, terminal.columns]).toEqual([true, 120]);
});

test("without one nothing is redrawn, and what is said is plain lines", () => {
  // That results go to a terminal does not matter.
  const [stdout, stderr] = [output({ isTTY: true }), output()];
  const terminal = createTerminal(stdout, stderr);
  terminal.redraw("10 %");
  terminal.note("done");
  expect(stderr.written.join("")).toBe("done\n");
  expect([terminal.isLive, terminal.columns]).toEqual([false, 80]);
});
