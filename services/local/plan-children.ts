import { join } from "node:path";

export type ChildRole = "simulator" | "worker" | "dispatcher" | "gateway";

/** One of our processes to be started, and where its readiness is asked. */
export interface PlannedChild {
  readonly role: ChildRole;
  readonly name: string;
  /** The script, absolute. */
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  readonly readyUrl: string;
}

export interface ChildrenOptions {
  /** The project's folder. */
  readonly root: string;
  readonly workers: number;
  readonly dispatchers: number;
  readonly withSimulator: boolean;
  readonly port: number;
  readonly redisUrl: string;
  readonly simulatorPort: number;
  /** Shared by the workers and those who call them. */
  readonly workerToken: string;
  /** The key callers use; undefined: keys are configured already. */
  readonly key: string | undefined;
  /** The config file, absolute, if there is one. */
  readonly configFile: string | undefined;
  /** Where compiled code is kept: children start in half the time, and 20 MB smaller, for they need no TypeScript stripper. */
  readonly compileCache: string;
  /** What all children inherit. */
  readonly env: Readonly<Record<string, string>>;
  /** Gives a free loopback port, never the same twice. */
  readonly takePort: () => Promise<number>;
}

/** Which processes to start and what each is told, in the order in which they are started. */
export async function planChildren(options: ChildrenOptions): Promise<PlannedChild[]> {
  const workerPorts: number[] = [];
  for (let index = 0; index < options.workers; index += 1) workerPorts.push(await options.takePort());
  const shared = sharedEnvironment(options, workerPorts);
  const child = async (role: ChildRole, name: string, own: Record<string, string>): Promise<PlannedChild> => {
    const opsPort = await options.takePort();
    return {
      role,
      name,
      script: join(options.root, "services", role, "main.ts"),
      env: { ...shared, ...own, SLUICE_OPS_PORT: String(opsPort) },
      readyUrl: `http://127.0.0.1:${opsPort}/readyz`,
    };
  };
  const plan: PlannedChild[] = [];
  if (options.withSimulator)
    plan.push(await child("simulator", "simulator", { PORT: String(options.simulatorPort), SLUICE_HOST: "127.0.0.1" }));
  for (const [index, port] of workerPorts.entries()) {
    const name = numbered("worker", index, options.workers);
    plan.push(await child("worker", name, { SLUICE_WORKER_LISTEN: `127.0.0.1:${port}` }));
  }
  for (let index = 0; index < options.dispatchers; index += 1)
    plan.push(await child("dispatcher", numbered("dispatcher", index, options.dispatchers), {}));
  plan.push(await child("gateway", "gateway", { PORT: String(options.port) }));
  return plan;
}

function sharedEnvironment(options: ChildrenOptions, workerPorts: readonly number[]): Record<string, string> {
  return {
    NODE_COMPILE_CACHE: options.compileCache,
    ...options.env,
    REDIS_URL: options.redisUrl,
    SLUICE_WORKERS: `ipv4:${workerPorts.map((port) => `127.0.0.1:${port}`).join(",")}`,
    SLUICE_WORKER_TOKEN: options.workerToken,
    ...(options.configFile === undefined ? {} : { SLUICE_CONFIG: options.configFile }),
    ...(options.key === undefined ? {} : { SLUICE_KEY: options.key }),
    ...(options.withSimulator ? { SLUICE_SIMULATOR_URL: `http://127.0.0.1:${options.simulatorPort}` } : {}),
  };
}

function numbered(role: string, index: number, count: number): string {
  return count === 1 ? role : `${role}-${index + 1}`;
}
