import Fastify from "fastify";
import { expect, test } from "vitest";
import { resultsUrl } from "./results-url.ts";

async function ask(headers: Record<string, string>, options: { trusted?: boolean; publicUrl?: string } = {}) {
  const app = Fastify({ trustProxy: options.trusted ?? false });
  app.get("/", (request) => resultsUrl(request, { publicUrl: options.publicUrl ?? "", prefix: "/anthropic" }, "b"));
  const { body } = await app.inject({ url: "/", headers: { host: "here:8080", ...headers } });
  await app.close();
  return body;
}
const path = "/anthropic/v1/messages/batches/b/results";
const forwarded = { "x-forwarded-proto": "https", "x-forwarded-host": "gate.example" };

test("it is the address the request was sent to", async () => {
  expect(await ask({})).toBe(`http://here:8080${path}`);
});

test("a proxy is believed only if it is trusted", async () => {
  expect(await ask(forwarded)).toBe(`http://here:8080${path}`);
  expect(await ask(forwarded, { trusted: true })).toBe(`https://gate.example${path}`);
});

test("the configured address comes first, its own path kept", async () => {
  expect(await ask(forwarded, { trusted: true, publicUrl: "https://llm.example/gw" })).toBe(
    `https://llm.example/gw${path}`,
  );
});

test("a host that is none gives a relative address", async () => {
  for (const host of ["a b", 'x"y', "{x}", "evil/path", "a@b"]) expect(await ask({ host })).toBe(path);
});
