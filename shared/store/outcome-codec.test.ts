import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { sampleOutcome } from "../../test/support/store-bed.ts";
import { decodeOutcome, encodeOutcome, packOutcome, readOutcomes } from "./outcome-codec.ts";
import { createSealer } from "./sealer.ts";

const sealer = createSealer(randomBytes(32).toString("base64"));

test("an outcome keeps every byte of its body and every fact", () => {
  const outcome = { ...sampleOutcome("é€😀"), body: randomBytes(70_000) };
  expect(decodeOutcome(encodeOutcome("call_1", outcome))).toEqual(outcome);
});

test("an empty body and words beyond ASCII survive", () => {
  const outcome = sampleOutcome("", { notes: ["größer als 1 €"] });
  expect(decodeOutcome(encodeOutcome("call_1", outcome))).toEqual(outcome);
});

test("several outcomes lie in one message, in order", () => {
  const message = Buffer.concat(["a", "bb", ""].map((body, i) => encodeOutcome(`call_${i}`, sampleOutcome(body))));
  const read = Array.from(readOutcomes(message), (record) => [record.callId, record.decode().body.toString()]);
  expect(read).toEqual([
    ["call_0", "a"],
    ["call_1", "bb"],
    ["call_2", ""],
  ]);
});

test("a packed outcome is smaller, and the same when it is read", () => {
  const outcome = sampleOutcome("the same words again ".repeat(500));
  for (const key of [undefined, sealer]) {
    const packed = packOutcome("call_1", outcome, key);
    expect(packed.length).toBeLessThan(1000);
    expect(decodeOutcome(packed, key)).toEqual(outcome);
  }
  expect(() => decodeOutcome(packOutcome("call_1", outcome, sealer))).toThrow("encrypted");
});

test("a sealed outcome shows its call id and nothing else", () => {
  const record = encodeOutcome("call_1", sampleOutcome("the answer"), sealer);
  expect(record.includes("the answer")).toBe(false);
  expect(record.includes("anthropic")).toBe(false);
  expect([...readOutcomes(record, sealer)].map(({ callId }) => callId)).toEqual(["call_1"]);
  expect(decodeOutcome(record, sealer)).toEqual(sampleOutcome("the answer"));
});

test("a sealed outcome opens with its own key and under its own call id only", () => {
  const record = encodeOutcome("call_1", sampleOutcome(), sealer);
  expect(() => decodeOutcome(record)).toThrow("encryption_key");
  expect(() => decodeOutcome(record, createSealer(randomBytes(32).toString("hex")))).toThrow();
  const renamed = Buffer.from(record);
  renamed.write("call_2", 6);
  expect(() => decodeOutcome(renamed, sealer)).toThrow();
});

test("bytes that are cut short are refused", () => {
  const record = encodeOutcome("call_1", sampleOutcome());
  expect(() => decodeOutcome(record.subarray(0, record.length - 1))).toThrow("cut short");
  expect(() => decodeOutcome(Buffer.alloc(0))).toThrow("no outcome");
});
