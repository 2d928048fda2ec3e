import { afterEach, expect, test } from "vitest";
import { metrics } from "./metrics.ts";
import { startOpsServer, type OpsServer } from "./ops-server.ts";

const servers: OpsServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function start(ready: () => true | readonly string[], health?: () => object): Promise<string> {
  const server = await startOpsServer({ host: "127.0.0.1", port: 0, ready, ...(health ? { health } : {}) });
  servers.push(server);
  return `http://127.0.0.1:${server.port}`;
}

test("a process is alive whether it is ready or not", async () => {
  const response = await fetch(`${await start(() => ["redis: away"])}/livez`);
  expect(response.status).toBe(200);
});

test("an unready process says why", async () => {
  const response = await fetch(`${await start(() => ["redis: policy is not noeviction"])}/readyz`);
  expect(response.status).toBe(503);
  expect(await response.json()).toEqual({ status: "not ready", reasons: ["redis: policy is not noeviction"] });
});

test("a ready one tells its health", async () => {
  const response = await fetch(
    `${await start(
      () => true,
      () => ({ redis: "away" }),
    )}/readyz?verbose`,
  );
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ status: "ready", reasons: [], health: { redis: "away" } });
});

test("metrics hold ours and the process'", async () => {
  metrics.shedTotal.inc({ reason: "bytes" });
  const response = await fetch(`${await start(() => true)}/metrics`);
  const text = await response.text();
  expect(response.headers.get("content-type")).toContain("text/plain");
  expect(text).toContain('sluice_shed_total{reason="bytes"} 1');
  expect(text).toContain("nodejs_eventloop_lag_seconds");
});

test("anything else is refused", async () => {
  const url = await start(() => true);
  expect((await fetch(`${url}/v1/messages`)).status).toBe(404);
  expect((await fetch(`${url}/readyz`, { method: "POST" })).status).toBe(405);
});

test("a port that is taken is a failure to start", async () => {
  const url = await start(() => true);
  const port = Number(new URL(url).port);
  await expect(startOpsServer({ host: "127.0.0.1", port, ready: () => true })).rejects.toThrow("EADDRINUSE");
});
