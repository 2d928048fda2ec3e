import { expect, test } from "vitest";
import { readNativeResult } from "./native-result.ts";

test("a message keeps its bytes", () => {
  const message = '{ "id":"msg_1",  "content":[{"text":"\\u0041 } ]"}] }';
  const line = Buffer.from(`{"custom_id":"call_1","result":{"type":"succeeded","message":${message}}}`);
  const result = readNativeResult(line);
  expect(result).toMatchObject({ customId: "call_1", type: "succeeded" });
  expect(result.payload?.toString()).toBe(message);
});

test("an error comes with its envelope and its type", () => {
  const envelope = '{"type":"error","error":{"type":"api_error","message":"x"},"request_id":"req_1"}';
  const line = Buffer.from(`{"result":{"error":${envelope},"type":"errored"},"custom_id":"call_2"}`);
  const result = readNativeResult(line);
  expect(result).toMatchObject({ customId: "call_2", type: "errored", errorType: "api_error" });
  expect(result.payload?.toString()).toBe(envelope);
});

test("what has neither says how it ended", () => {
  const line = Buffer.from('{"custom_id":"call_3","result":{"type":"expired"}}');
  expect(readNativeResult(line)).toEqual({ customId: "call_3", type: "expired" });
});

test("what is no line of results says nothing, and what is no object is an error", () => {
  expect(readNativeResult(Buffer.from("{}"))).toEqual({ customId: "", type: "" });
  expect(() => readNativeResult(Buffer.from("oops"))).toThrow();
});
