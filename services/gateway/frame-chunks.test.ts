import { expect, test } from "vitest";
import { frameChunks } from "./frame-chunks.ts";

test("pieces become one chunk with its size in hex", () => {
  const pieces = [Buffer.from("hello "), Buffer.from("wörld")];
  expect(frameChunks(pieces, 12).toString()).toBe("c\r\nhello wörld\r\n");
});

test("a large piece is framed too", () => {
  const frame = frameChunks([Buffer.alloc(100_000, "x")], 100_000);
  expect(frame.subarray(0, 7).toString()).toBe("186a0\r\n");
  expect(frame).toHaveLength(100_009);
});
