import { describe, expect, test } from "vitest";
import { GatewayError } from "./error.ts";
import { maxDepth, openJson, skipValue, skipWhitespace } from "./json-scanner.ts";

/** Whether the scanner takes the text, or where it stops. */
function scan(text: string | Buffer): true | number {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  try {
    const end = skipWhitespace(bytes, skipValue(openJson(bytes), skipWhitespace(bytes, 0)));
    return end === bytes.length ? true : end;
  } catch (reason) {
    if (!(reason instanceof GatewayError)) throw reason;
    return Number(/at byte (\d+)/.exec(reason.message)?.[1]);
  }
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("the scanner takes", () => {
  test.each([
    '""',
    '"\\u00e9\\ud800 \\"\\\\\\/\\b\\f\\n\\r\\t"',
    '"é漢😀\u2028\u007f"',
    "[]",
    "{}",
    ' { "a" : [ 1 , -0.5e+10 , 0 , 1E9 ] , "b" : { } , "" : [ [ ] , null , true , false ] } \r\n\t',
    "0",
    "-0",
    "1e999",
    `"${"x".repeat(10_000)}"`,
    `"${"x".repeat(100)}\\n${"y".repeat(100)}"`,
  ])("%s", (text) => {
    expect(scan(text)).toBe(true);
    expect(parses(text)).toBe(true);
  });
});

describe("the scanner refuses, at the byte where it goes wrong,", () => {
  test.each([
    ["", 0],
    ["[1,]", 3],
    ['{"a":1,}', 7],
    ["{,}", 1],
    ['{"a" 1}', 5],
    ["{a:1}", 1],
    ['{"a":1]', 6],
    ["[1}", 2],
    ["[1", 2],
    ['"abc', 4],
    ['"ab\\', 4],
    ['"ab\\x"', 4],
    ['"\\u12g4"', 5],
    ['"\\u12', 5],
    ['"a\nb"', 2],
    ["01", 1],
    ["-", 1],
    ["1.", 2],
    [".5", 0],
    ["1e", 2],
    ["+1", 0],
    ["tru", 3],
    ["nul1", 3],
    ["NaN", 0],
    ["1 2", 2],
    ["\ufeff1", 0],
    ["\u00a01", 0],
    [`"${"x".repeat(200)}\u0001${"x".repeat(200)}"`, 201],
    [`"${"x".repeat(200)}`, 201],
  ])("%j", (text, position) => {
    expect(parses(text)).toBe(false);
    expect(scan(text)).toBe(position);
  });
});

test("a control character is found wherever it stands in a long string, however the bytes lie in memory", () => {
  const whole = Buffer.alloc(512);
  for (let offset = 0; offset < 8; offset += 1) {
    for (let position = 1; position < 120; position += 1) {
      const bytes = whole.subarray(offset, offset + 122);
      bytes.fill("x");
      bytes[0] = bytes[121] = 0x22;
      expect(scan(bytes)).toBe(true);
      bytes[position] = 0x1f;
      expect(scan(bytes)).toBe(position);
      bytes[position] = 0x22;
      expect(scan(bytes)).toBe(position + 1);
    }
  }
});

test("bytes at the odd end of some memory are read too", () => {
  const memory = new Uint8Array([0, 0, 0, 0, 0x31]).buffer;
  expect(scan(Buffer.from(memory, 4, 1))).toBe(true);
  expect(scan(Buffer.from(memory, 5, 0))).toBe(0);
});

test("nesting is taken to 1,000 levels and not further", () => {
  const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
  expect(scan(nested(maxDepth))).toBe(true);
  expect(scan(nested(maxDepth + 1))).toBe(maxDepth);
  expect(scan('{"a":'.repeat(100_000))).toBe(maxDepth * 5);
});

test("an earlier value can be read again after a later one", () => {
  const bytes = Buffer.from(JSON.stringify(["a".repeat(100), "b\\".repeat(100)]));
  const cursor = openJson(bytes);
  expect(skipValue(cursor, 0)).toBe(bytes.length);
  expect(skipValue(cursor, 1)).toBe(103);
});

/** Small and good enough: the same numbers on every run. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomText(random: (below: number) => number): string {
  const alphabet = [
    "a",
    '"',
    "\\",
    "/",
    "\n",
    "\u0000",
    "é",
    "漢",
    "😀",
    "\ud800",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
  ];
  return Array.from({ length: random(8) }, () => alphabet[random(alphabet.length)]).join("");
}

function randomValue(random: (below: number) => number, depth: number): unknown {
  const kind = random(depth > 4 ? 5 : 7);
  if (kind === 0) return null;
  if (kind === 1) return random(2) === 0;
  if (kind === 2) return (random(2000) - 1000) / (random(2) === 0 ? 1 : 7);
  if (kind < 5) return randomText(random);
  const members = Array.from({ length: random(5) }, () => randomValue(random, depth + 1));
  if (kind === 5) return members;
  return Object.fromEntries(members.map((value) => [randomText(random), value]));
}

function mutate(text: string, random: (below: number) => number): string {
  const inserts = [
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "0",
    "-",
    "e",
    ".",
    " ",
    "\n",
    "\t",
    "\u0001",
    "u",
    "t",
    "é",
  ];
  const at = random(text.length + 1);
  const kind = random(4);
  if (kind === 0) return text.slice(0, at) + text.slice(at + 1 + random(2));
  if (kind === 1) return text.slice(0, at) + inserts[random(inserts.length)] + text.slice(at);
  if (kind === 2) return text.slice(0, at) + inserts[random(inserts.length)] + text.slice(at + 1);
  return text.slice(0, at);
}

test("of 20,000 random texts and mutations the scanner takes those that JSON.parse takes", () => {
  const random = createRandom(42);
  const disagreements: string[] = [];
  let taken = 0;
  for (let round = 0; round < 2000; round += 1) {
    let text = JSON.stringify(randomValue(random, 0), undefined, random(3)) ?? "null";
    expect(scan(text)).toBe(true);
    for (let step = 0; step < 10; step += 1) {
      text = mutate(text, random).toWellFormed();
      const isJson = parses(text);
      if (isJson) taken += 1;
      if ((scan(text) === true) !== isJson) disagreements.push(text);
    }
  }
  expect(disagreements).toEqual([]);
  expect(taken).toBeGreaterThan(1000);
  expect(taken).toBeLessThan(19_000);
});
