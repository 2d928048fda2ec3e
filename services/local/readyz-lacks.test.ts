import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { readyzLacks } from "./readyz-lacks.ts";

test.each([
  [503, { ready: false, reasons: ["draining", "no redis"] }, "draining, no redis"],
  [200, { ready: true, health: { redis: "ok" } }, ""],
  [200, { ready: true, health: { workers: 1 } }, ""],
  [200, { ready: true, health: { workers: 0 } }, "no worker has been reached yet"],
])("a process that answers %i %j lacks: %s", async (status, body, lacks) => {
  const server = createServer((_request, response) => response.writeHead(status).end(JSON.stringify(body)));
  await once(server.listen(0, "127.0.0.1"), "listening");
  expect(await readyzLacks(`http://127.0.0.1:${(server.address() as AddressInfo).port}/readyz`)).toBe(lacks);
  server.close();
});

test("a process that is not there has no answer yet", async () => {
  expect(await readyzLacks("http://127.0.0.1:1/readyz")).toBe("no answer yet");
});
