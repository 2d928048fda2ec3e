import { expect, test } from "vitest";
import { LineSplitter, type Line } from "./line-splitter.ts";

function createLines(isUnwanted: (line: string) => boolean = () => false): { splitter: LineSplitter; lines: string[] } {
  const lines: string[] = [];
  const textOf = ({ bytes, start, end }: Line): string => bytes.toString("utf8", start, end);
  const sink = {
    line: (line: Line) => void lines.push(textOf(line)),
    isUnwanted: (line: Line) => isUnwanted(textOf(line)),
  };
  return { splitter: new LineSplitter(sink, 1000), lines };
}

test("mixed line ends end one line each, cut between CR and LF too", () => {
  const { splitter, lines } = createLines();
  for (const chunk of ["a\r", "\nb\rc\n", "\r", "\r\n", "d\n"]) splitter.push(Buffer.from(chunk));
  expect(lines).toEqual(["a", "b", "c", "", "", "d"]);
});

test("the rest of an unwanted line is passed over, the next line is not", () => {
  const { splitter, lines } = createLines((line) => line.startsWith("no"));
  for (const chunk of ["n", "o", "thing", " here\nyes", " it is\nno", "\nend\n"]) splitter.push(Buffer.from(chunk));
  expect(lines).toEqual(["yes it is", "end"]);
});

test("it tells whether the bytes so far end a line", () => {
  const { splitter } = createLines((line) => line.startsWith(":"));
  expect(splitter.atLineStart).toBe(true);
  splitter.push(Buffer.from("a"));
  expect(splitter.atLineStart).toBe(false);
  splitter.push(Buffer.from("\n:x"));
  expect(splitter.atLineStart).toBe(false);
  splitter.push(Buffer.from("\n"));
  expect(splitter.atLineStart).toBe(true);
});

test("bytes of an event without a border are limited, also where they are passed over", () => {
  const { splitter } = createLines(() => true);
  for (let chunk = 0; chunk < 50; chunk += 1) splitter.push(Buffer.from(`${"x".repeat(90)}\n\n`));
  expect(() => {
    for (let chunk = 0; chunk < 20; chunk += 1) splitter.push(Buffer.from("x".repeat(90)));
  }).toThrow("more than 1000 bytes");
});

test("a long line may come in many pieces", () => {
  const lines: number[] = [];
  const sink = { line: ({ start, end }: Line) => void lines.push(end - start), isUnwanted: () => false };
  const splitter = new LineSplitter(sink, 1_000_000);
  for (let piece = 0; piece < 2000; piece += 1) splitter.push(Buffer.alloc(100, "x"));
  splitter.push(Buffer.from("\nab\n"));
  expect(lines).toEqual([200_000, 2]);
});
