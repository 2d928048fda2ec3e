import { describe, expect, test } from "vitest";
import { createSseDecoder, encodeSseEvent, pingComment, pingEvent, type SseEvent } from "./sse.ts";

function decode(chunks: readonly (string | Buffer)[]): SseEvent[] {
  const decoder = createSseDecoder();
  return chunks.flatMap((chunk) => decoder.push(Buffer.from(chunk as string)));
}

describe("decoding gives", () => {
  const cases: [string, string, SseEvent[]][] = [
    ["an event with its name and data", "event: a\ndata: {}\n\n", [{ event: "a", data: "{}" }]],
    ["the name `message` without one", "data: x\n\n", [{ event: "message", data: "x" }]],
    ["data without a space", "event:a\ndata:x\n\n", [{ event: "a", data: "x" }]],
    ["all but one space of the data", "data:  x \n\n", [{ event: "message", data: " x " }]],
    ["several lines of data as one", "data: a\ndata\ndata: b\n\n", [{ event: "message", data: "a\n\nb" }]],
    [
      "no comments and other fields",
      ": hi\nid: 1\nretry: 5\ndataset: 7\nx\ndata: a\n\n: ka\n\n",
      [{ event: "message", data: "a" }],
    ],
    ["no event without data", "event: a\n\n\n\ndata: x\n\n", [{ event: "message", data: "x" }]],
    ["the last name given", "event: a\nevent: b\ndata: x\n\n", [{ event: "b", data: "x" }]],
    ["no unfinished event", "data: x\n\ndata: y\n", [{ event: "message", data: "x" }]],
    ["the first event behind a byte order mark", "\ufeffdata: x\n\n", [{ event: "message", data: "x" }]],
    ["characters of several bytes", "data: é漢😀\n\n", [{ event: "message", data: "é漢😀" }]],
  ];

  test.each(cases)("%s, with each line end and however it is cut", (_name, text, expected) => {
    for (const lineEnd of ["\n", "\r\n", "\r"]) {
      const bytes = Buffer.from(text.replaceAll("\n", lineEnd));
      expect(decode([bytes])).toEqual(expected);
      expect(decode([...bytes].map((byte) => Buffer.from([byte])))).toEqual(expected);
      for (let cut = 0; cut <= bytes.length; cut += 1)
        expect(decode([bytes.subarray(0, cut), Buffer.alloc(0), bytes.subarray(cut)])).toEqual(expected);
    }
  });
});

test("an event that never ends is refused once it is too large", () => {
  const decoder = createSseDecoder({ maxEventBytes: 100 });
  for (let event = 0; event < 10; event += 1) decoder.push(Buffer.from(`data: ${"x".repeat(80)}\n\n`));
  expect(() => {
    for (let line = 0; line < 10; line += 1) decoder.push(Buffer.from("data: xxxxxxx\n"));
  }).toThrow("The provider sent a stream event of more than 100 bytes.");
});

test("nothing of an unfinished event is left after the end", () => {
  const decoder = createSseDecoder();
  decoder.push(Buffer.from("data: x\n"));
  decoder.end();
  expect(decoder.push(Buffer.from("\n"))).toEqual([]);
});

test("what is encoded is decoded again", () => {
  const data = { type: "message_stop", text: "line\nbreak \u2028" };
  const [event] = decode([encodeSseEvent("message_stop", data)]);
  expect(event?.event).toBe("message_stop");
  expect(JSON.parse(event?.data ?? "")).toEqual(data);
});

test("a ping event is one that clients know, a ping comment is none", () => {
  expect(decode([pingEvent, pingComment])).toEqual([{ event: "ping", data: '{"type":"ping"}' }]);
});
