import { expect, test } from "vitest";
import type { Json } from "./arbitrary/words.ts";
import { readCases, type FixtureCase } from "./fixture-case.ts";
import { typeFaults } from "./type-faults.ts";
import { vendorTypes } from "./vendor-types.ts";

const cases = readCases().filter(
  ({ type, call }) => ["openai", "gemini"].includes(type) && call.operation === "messages",
);

function messagesOf({ adapter, call, whole }: FixtureCase): Json[] {
  const answer = whole && adapter.decode(call, whole.head, whole.bytes);
  return answer ? [JSON.parse(answer.body.toString()) as Json] : [];
}

/** Without errors, which the SDK reads by themselves, and pings, of which it knows nothing. */
function eventsOf({ adapter, call, stream }: FixtureCase): Json[] {
  if (!stream) return [];
  const decoder = adapter.createStreamDecoder(call);
  const pieces = [decoder.push(stream.bytes), decoder.end()].filter((piece) => piece !== undefined);
  const data = Buffer.concat(pieces)
    .toString()
    .matchAll(/^data: (.*)$/gm);
  const events = [...data].map(([, json = ""]) => JSON.parse(json) as Json);
  return events.filter(({ type }) => type !== "error" && type !== "ping");
}

test(
  "every recorded answer of another family comes back as the vendor's own types have it",
  { timeout: 60_000 },
  () => {
    const messages = cases.flatMap(messagesOf);
    const events = cases.flatMap(eventsOf);
    expect(messages.length).toBeGreaterThan(20);
    expect(events.length).toBeGreaterThan(200);
    const given = [
      { type: "Message", values: messages },
      { type: "StreamEvent", values: events },
    ];
    const { stop_details: _, ...lacking } = messages[0] ?? {};
    const wrong = [lacking, { ...messages[0], stop_reason: "stop" }, { ...messages[0], content: [{ type: "text" }] }];
    const faults = typeFaults(vendorTypes, [...given, { type: "Message", values: wrong }]);
    expect(faults.map(({ value }) => value)).toEqual(wrong);
  },
);
