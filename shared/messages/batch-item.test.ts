import { expect, test } from "vitest";
import { readBatchItem, readItemFacts } from "./batch-item.ts";

const params = '{"model":"claude-opus-4-8","max_tokens":5,"messages":[]}';
const read = (text: string) => readBatchItem(Buffer.from(text), 3);

test("reads the id and the params' bytes as they came, in either order", () => {
  const item = read(`{ "params" : ${params} , "custom_id":"a_-Z9" }`);
  expect(item.customId).toBe("a_-Z9");
  expect(item.params.toString()).toBe(params);
  expect(readItemFacts(item)).toMatchObject({ model: "claude-opus-4-8", maxTokens: 5 });
});

test.each([
  [`{"params":${params}}`, "requests.3.custom_id: Field required"],
  [`{"custom_id":"a"}`, "requests.3.params: Field required"],
  [`{"custom_id":"a","params":[]}`, "requests.3.params: Input should be a valid dictionary"],
  [`{"custom_id":7,"params":${params}}`, "requests.3.custom_id: Input should be a valid string"],
  [`{"custom_id":"","params":${params}}`, "requests.3.custom_id: String should match pattern"],
  [`{"custom_id":"a b","params":${params}}`, "requests.3.custom_id: String should match pattern"],
  [`{"custom_id":"${"x".repeat(65)}","params":${params}}`, "requests.3.custom_id: String should match pattern"],
  [`{"custom_id":"é","params":${params}}`, "requests.3.custom_id: String should match pattern"],
  [`{"custom_id":"a\\n","params":${params}}`, "requests.3.custom_id: String should match pattern"],
  [`{"custom_id":"a","custom_id":"b","params":${params}}`, "requests.3.custom_id: Member appears more than once"],
  [`{"custom_id":"a","params":${params},"extra":1}`, "requests.3: Extra inputs are not permitted"],
  [`{"custom_id":"a","params":{"x":tru}}`, "requests.3: The request body is not valid JSON"],
  [
    `{"custom_id":"a","params":${"[".repeat(2000)}${"]".repeat(2000)}}`,
    "requests.3: The request body is nested deeper",
  ],
])("refuses the whole batch for %.60s", (text, message) => {
  expect(() => read(text)).toThrow(message);
});

test("refuses bytes that are not UTF-8", () => {
  const bytes = Buffer.from(`{"custom_id":"a","params":{"x":"?"}}`);
  bytes[bytes.indexOf("?")] = 0xff;
  expect(() => readBatchItem(bytes, 0)).toThrow("requests.0: The request body is not valid UTF-8.");
});

test.each([
  ['"stream":true', "stream: Not allowed in a batch"],
  ['"stream":1', "stream: Input should be a valid boolean"],
  ['"speed":"fast"', "speed: Not allowed in a batch"],
  ['"fallbacks":"default"', "fallbacks: Not allowed in a batch"],
  ['"thread":{"type":"create"}', "thread: Not allowed in a batch"],
  ['"billing_policy":{"type":"billing_policy","bill_to":"user_profile"}', "billing_policy: Not allowed in a batch"],
  ['"max_tokens":0', "max_tokens: "],
  ['"system":1,"system":2', "system: Member appears more than once"],
])("refuses only the item for %s", (member, message) => {
  const text = `{"model":"m","messages":[],${member.includes("max_tokens") ? "" : '"max_tokens":5,'}${member}}`;
  const item = read(`{"custom_id":"a","params":${text}}`);
  expect(() => readItemFacts(item)).toThrow(message);
});

test.each([
  '"stream":false',
  '"speed":null',
  '"thread":null',
  '"billing_policy":{"type":"billing_policy","bill_to":"self"}',
])("takes %s", (member) => {
  const item = read(`{"custom_id":"a","params":{"model":"m","max_tokens":1,"messages":[],${member}}}`);
  expect(readItemFacts(item)).toMatchObject({ stream: false });
});
