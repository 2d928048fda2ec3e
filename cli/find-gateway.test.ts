import { expect, test } from "vitest";
import { findGateway, type Whereabouts } from "./find-gateway.ts";

const nothing: Whereabouts = {
  urlOption: undefined,
  keyOption: "sk-a",
  env: {},
  readLocalKey: () => undefined,
  self: "sluice",
};

test("without a word the gateway is that of `npm start`", () => {
  const { url, key, advice } = findGateway(nothing);
  expect({ url, key }).toEqual({ url: "http://127.0.0.1:8080", key: "sk-a" });
  expect(advice.unreachable).toBe(
    "Nothing said another address: --url does, or SLUICE_URL. `npm start` starts a gateway and prints its address.",
  );
});

test("who has set the SDKs' variable is told that it is not looked at", () => {
  const { url, advice } = findGateway({ ...nothing, env: { ANTHROPIC_BASE_URL: "http://a:secret@b" } });
  expect(url).toBe("http://127.0.0.1:8080");
  expect(advice.unreachable).toContain("ANTHROPIC_BASE_URL is not looked at");
  expect(advice.unreachable).not.toContain("secret");
});

test("no key is read from a file while one is said", () => {
  const readLocalKey = (): never => {
    throw new Error("was read");
  };
  expect(findGateway({ ...nothing, readLocalKey }).key).toBe("sk-a");
});

test("slashes and spaces around are nothing", () => {
  const { url, key } = findGateway({ ...nothing, urlOption: " http://x/base// ", keyOption: "sk-a\n" });
  expect({ url, key }).toEqual({ url: "http://x/base", key: "sk-a" });
});
