import { describe, expect, test } from "vitest";
import { estimatePromptTokens } from "./prompt-tokens.ts";

const png = Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), Buffer.alloc(3_000_000, 0xa5)]).toString("base64");
const source = { type: "base64", media_type: "image/png", data: png };

function tokensOf(content: unknown): number {
  const body = { model: "m", max_tokens: 1, messages: [{ role: "user", content }] };
  return estimatePromptTokens(Buffer.from(JSON.stringify(body)), 2);
}

describe("a picture in base64 counts as the largest one that a model takes, and not by its bytes", () => {
  test("wherever it stands, in whatever order its members are", () => {
    const { data, ...rest } = source;
    const turned = { data, ...rest };
    for (const block of [
      { type: "image", source },
      { type: "image", source: turned },
      { type: "tool_result", tool_use_id: "t", content: [{ type: "image", source }] },
    ])
      expect(tokensOf([block]), JSON.stringify(block).slice(0, 60)).toBeLessThan(5000);
  });

  test("each of several, of every type", () => {
    const pictures = ["ffd8ff", "89504e470d0a1a0a", "474946383961", "52494646"].map((head) => {
      const bytes = Buffer.concat([Buffer.from(head, "hex"), Buffer.alloc(100_000)]);
      return { type: "image", source: { ...source, data: bytes.toString("base64") } };
    });
    expect(tokensOf(pictures)).toBeGreaterThan(4 * 4784);
    expect(tokensOf(pictures)).toBeLessThan(4 * 4784 + 500);
  });

  test("with slashes escaped and white space around", () => {
    const body = `{"data" : "\\/9j\\/${"A".repeat(100_000)}" , "media_type" : "image\\/jpeg"}`;
    expect(estimatePromptTokens(Buffer.from(body), 2)).toBeLessThan(5000);
  });

  test("a small one by its bytes: that is less", () => {
    const icon = { ...source, data: png.slice(0, 1000) };
    expect(tokensOf([{ type: "image", source: icon }])).toBeLessThan(800);
  });
});

describe("text that is none counts by its bytes", () => {
  test("prose that begins as a picture does", () => {
    const prose = `iVBORw0KGgo ${"so it goes ".repeat(10_000)}`;
    expect(tokensOf([{ type: "image", source: { ...source, data: prose } }])).toBeGreaterThan(50_000);
  });

  test("a picture in a text, and data that are no picture", () => {
    expect(tokensOf([{ type: "text", text: png }])).toBeGreaterThan(1_000_000);
    expect(
      tokensOf([
        { type: "text", text: '"image/' },
        { type: "x", data: png.slice(20) },
      ]),
    ).toBeGreaterThan(1_000_000);
    expect(tokensOf([{ type: "tool_use", id: "t", name: "n", input: { data: png } }])).toBeGreaterThan(1_000_000);
  });

  test("a body that ends in the middle of its picture", () => {
    const body = Buffer.from(`{"media_type":"image/png","data":"${png}`);
    expect(estimatePromptTokens(body, 2)).toBe(Math.ceil(body.length / 2));
  });
});
