import { expect, test } from "vitest";
import { followTail, isEventBorder } from "./event-border.ts";

const atBorder = (...chunks: string[]): boolean =>
  isEventBorder(chunks.reduce((tail, chunk) => followTail(tail, Buffer.from(chunk)), 0));

test.each([
  ["nothing yet", [], true],
  ["a blank line", ["event: ping\ndata: {}\n\n"], true],
  ["a blank line with CRLF", ["event: ping\r\ndata: {}\r\n\r\n"], true],
  ["a blank line with CR", ["event: ping\rdata: {}\r\r"], true],
  ["the end of a line", ["event: ping\ndata: {}\n"], false],
  ["the end of a CRLF line", ["data: {}\r\n"], false],
  ["the middle of a blank CRLF line", ["data: {}\r\n\r"], false],
  ["the middle of a line", ['data: {"a"'], false],
  ["a blank line cut in two", ["data: {}\n", "\n"], true],
  ["a blank CRLF line cut byte by byte", ["data: {}", "\r", "\n", "\r", "\n"], true],
  ["an empty chunk behind a blank line", ["data: {}\n\n", ""], true],
])("%s", (_name, chunks, expected) => {
  expect(atBorder(...chunks)).toBe(expected);
});
