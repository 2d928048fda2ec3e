import { describe, expect, test } from "vitest";
import { EventScanner, numberEvents } from "./event-scanner.ts";

const lineEnds = { LF: "\n", CRLF: "\r\n", CR: "\r" } as const;
const plain = ["event: a\ndata: 1\n\n", ": a comment\n\n", "data: ä€😀\ndata: 2\n\n", "event: b\ndata: {}\n\n"];

/** The stream with its events numbered, cut into pieces of `size` bytes. */
function numbered(text: string, size: number, after = 0): string {
  const scanner = new EventScanner();
  const bytes = Buffer.from(text);
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = bytes.subarray(at, at + size);
    scanner.scan(chunk);
    out.push(numberEvents(chunk, scanner, after));
  }
  return Buffer.concat(out).toString();
}

describe.each(Object.entries(lineEnds))("with %s at its line ends", (_name, end) => {
  const events = plain.map((text) => text.replaceAll("\n", end));
  const wanted = events.map((text, index) => `id: ${index + 1}\n${text}`);

  test("every event gets its number, wherever the bytes are cut", () => {
    for (const size of [1, 2, 3, 7, 1000]) expect(numbered(events.join(""), size)).toBe(wanted.join(""));
  });

  test("the events up to a number can be left out", () => {
    for (let after = 1; after < events.length; after++)
      for (const size of [1, 5, 1000])
        expect(numbered(events.join(""), size, after)).toBe(wanted.slice(after).join(""));
  });

  test("the border is behind the last event that is whole", () => {
    const scanner = new EventScanner();
    const [first = "", second = ""] = events;
    scanner.scan(Buffer.from(`${first}${second}event: half`));
    expect([scanner.border, scanner.ended, scanner.begun]).toEqual([Buffer.byteLength(first + second), 2, 3]);
    scanner.scan(Buffer.from("-said"));
    expect([scanner.border, scanner.ended]).toEqual([-1, 2]);
    scanner.scan(Buffer.from(`${end}${end}`));
    expect([scanner.border, scanner.ended, scanner.begun]).toEqual([2 * end.length, 3, 3]);
  });
});

test("blank lines between events are no events", () => {
  expect(numbered("\n\ndata: 1\n\n\n\ndata: 2\n\n", 1000)).toBe("\n\nid: 1\ndata: 1\n\n\n\nid: 2\ndata: 2\n\n");
});

test("numbers go on from where an earlier part ended", () => {
  const scanner = new EventScanner(41);
  const chunk = Buffer.from("data: 1\n\n");
  scanner.scan(chunk);
  expect(numberEvents(chunk, scanner).toString()).toBe("id: 42\ndata: 1\n\n");
});
