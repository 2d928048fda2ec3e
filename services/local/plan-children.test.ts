import { expect, test } from "vitest";
import { planChildren, type ChildrenOptions } from "./plan-children.ts";

function options(overrides: Partial<ChildrenOptions> = {}): ChildrenOptions {
  let port = 5000;
  return {
    root: "/srv",
    compileCache: "/data/compiled",
    workers: 1,
    dispatchers: 1,
    withSimulator: true,
    port: 8080,
    redisUrl: "redis://127.0.0.1:7000",
    simulatorPort: 4000,
    workerToken: "t",
    key: "k",
    configFile: undefined,
    env: { PATH: "/bin" },
    takePort: async () => (port += 1),
    ...overrides,
  };
}

test("one of each: the gateway is told where the worker is, the worker where the simulator is", async () => {
  const plan = await planChildren(options());
  expect(plan.map(({ name }) => name)).toEqual(["simulator", "worker", "dispatcher", "gateway"]);
  const [simulator, worker, , gateway] = plan;
  expect(simulator?.env).toMatchObject({ PORT: "4000", SLUICE_HOST: "127.0.0.1" });
  expect(worker?.env).toMatchObject({
    SLUICE_WORKER_LISTEN: "127.0.0.1:5001",
    SLUICE_SIMULATOR_URL: "http://127.0.0.1:4000",
  });
  expect(gateway).toMatchObject({
    script: "/srv/services/gateway/main.ts",
    env: {
      PATH: "/bin",
      PORT: "8080",
      REDIS_URL: "redis://127.0.0.1:7000",
      SLUICE_WORKERS: "ipv4:127.0.0.1:5001",
      SLUICE_WORKER_TOKEN: "t",
      SLUICE_KEY: "k",
    },
  });
  expect(gateway?.readyUrl).toBe(`http://127.0.0.1:${gateway?.env["SLUICE_OPS_PORT"]}/readyz`);
});

test("several workers and dispatchers are numbered, have ports of their own, and all are called", async () => {
  const plan = await planChildren(options({ workers: 3, dispatchers: 2, withSimulator: false }));
  expect(plan.map(({ name }) => name)).toEqual([
    "worker-1",
    "worker-2",
    "worker-3",
    "dispatcher-1",
    "dispatcher-2",
    "gateway",
  ]);
  const listening = plan.slice(0, 3).map(({ env }) => env["SLUICE_WORKER_LISTEN"]);
  expect(plan.at(-1)?.env["SLUICE_WORKERS"]).toBe(`ipv4:${listening.join(",")}`);
  expect(new Set(plan.map(({ readyUrl }) => readyUrl)).size).toBe(6);
});

test("a config file with keys of its own is handed on, and neither key nor simulator is invented", async () => {
  const plan = await planChildren(options({ configFile: "/etc/sluice.yaml", key: undefined, withSimulator: false }));
  for (const { env } of plan) {
    expect(env).toMatchObject({ SLUICE_CONFIG: "/etc/sluice.yaml" });
    expect(env).not.toHaveProperty("SLUICE_KEY");
    expect(env).not.toHaveProperty("SLUICE_SIMULATOR_URL");
  }
});
