import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { createGatewayClient, GatewayFailure, type GatewayClient } from "./gateway-client.ts";

/** A client of a server that answers as the list says, and how often it was asked. */
async function serve(answers: readonly RequestListener[]): Promise<{ client: GatewayClient; asked: () => number }> {
  let asked = 0;
  const server = createServer((request, response) => answers[asked++]?.(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  const client = createGatewayClient({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    key: "sk-a",
    advice: { keyRefused: "another key", unreachable: "another address", stranger: "no gateway" },
    signal: new AbortController().signal,
    retryMs: 1,
  });
  return { client, asked: () => asked };
}

const hangUp: RequestListener = (request) => void request.socket.destroy();
const answer: RequestListener = (_, response) => void response.end("{}");

test("while nobody has answered yet, an address without an answer is asked once", async () => {
  const { client, asked } = await serve([hangUp, answer]);
  const reason: unknown = await client.get("/").catch((failure: unknown) => failure);
  expect(reason).toBeInstanceOf(GatewayFailure);
  expect(reason).toMatchObject({ status: 0, wayOut: "another address" });
  expect(asked()).toBe(1);
});

test("a gateway that has answered is looked for again when it is away", async () => {
  const { client, asked } = await serve([answer, hangUp, hangUp, answer]);
  expect([await client.get("/"), await client.get("/")]).toEqual([{}, {}]);
  expect(asked()).toBe(4);
});

test("a refusal that is not of the key has no way out but its own words", async () => {
  const refuse: RequestListener = (_, response) => {
    response.writeHead(404).end(JSON.stringify({ error: { type: "not_found_error", message: "no such job" } }));
  };
  const { client } = await serve([refuse]);
  await expect(client.get("/")).rejects.toMatchObject({
    message: "404 not_found_error: no such job",
    wayOut: undefined,
  });
});
