import { ConfigError } from "#shared/config/config-error.ts";
import type { LogLevel, ServiceName } from "#shared/config/schema.ts";
import { createLogger, type Logger } from "#shared/telemetry/logger.ts";
import { startOpsServer } from "#shared/telemetry/ops-server.ts";
import { returnMemory } from "./collect-garbage.ts";
import { createCloseStack, type Closable, type CloseStack } from "./close-stack.ts";
import { tuneHeap } from "./tune-heap.ts";

export interface Service {
  /** True, or why it must not get work; false and reasons both turn /readyz red. */
  readonly ready: () => boolean | readonly string[];
  /** More for /readyz; never secrets. */
  readonly health?: () => object;
  /** Takes nothing new and resolves when what runs has ended. When the signal aborts, time is up: hand back the rest. */
  drain(signal: AbortSignal): Promise<void>;
}

export interface ServiceContext {
  /** Whatever is opened is owned: it is closed after the drain, the latest first. */
  own<T extends Closable>(resource: T): T;
  readonly logger: Logger;
  /** Aborted when draining begins. */
  readonly signal: AbortSignal;
}

export type StartService = (context: ServiceContext) => Promise<Service>;

export interface RunOptions {
  /** A port of 0 is off. */
  readonly ops: { readonly host: string; readonly port: number };
  readonly drainMs: number;
  readonly logLevel: LogLevel;
  /** What SIGHUP does; what it throws is logged. */
  readonly reload?: () => void;
}

/** What a drain that was told to stop may take to hand back the rest. */
const handBackMs = 5_000;
/** What is still open this long after everything was closed is logged and left. */
const lingerMs = 2_000;

/**
 * A process from its first line to its last. Ops server first (alive at once, ready when `start` has resolved), then
 * the service; SIGTERM or SIGINT: not ready, drain for at most `drainMs`, close what is owned in reverse, exit 0. A
 * second signal, an uncaught exception or an unhandled rejection: exit 1 at once. A start that fails: exit 1.
 */
export async function runService(name: ServiceName, start: StartService, options: RunOptions): Promise<void> {
  tuneHeap();
  const logger = createLogger({ name, level: options.logLevel });
  const stack = createCloseStack(logger);
  const draining = new AbortController();
  listenToProcess(logger, draining, options.reload);
  const startedAt = Date.now();
  logger.info({ pid: process.pid, node: process.version }, "starting");
  const told = aborted(draining.signal);
  try {
    const run: Run = { service: undefined, draining: draining.signal };
    await openOps(stack, run, options);
    const started = start({ own: (resource) => stack.own(resource), logger, signal: draining.signal });
    const service = await withinReach(started, told);
    returnMemory();
    logger.info({ ms: Date.now() - startedAt }, "ready");
    // Whoever asks /readyz has read what came before it.
    logger.flush();
    run.service = service;
    await told;
    process.exitCode = (await drainService(run.service, logger, options.drainMs)) ? 0 : 1;
  } catch (reason) {
    if (!draining.signal.aborted) {
      logger.fatal({ err: reason }, "could not start");
      process.exitCode = 1;
    }
  }
  await stack.closeAll();
  logger.info({ upMs: Date.now() - startedAt }, "stopped");
  leave(logger);
}

interface Run {
  service: Service | undefined;
  readonly draining: AbortSignal;
}

/** What /readyz says of a run: `starting`, `draining`, or what the service says. */
export function readiness(run: Run): true | readonly string[] {
  if (run.draining.aborted) return ["draining"];
  if (!run.service) return ["starting"];
  const state = run.service.ready();
  if (typeof state !== "boolean") return state.length === 0 ? true : state;
  return state || ["not ready"];
}

async function openOps(stack: CloseStack, run: Run, { ops }: RunOptions): Promise<void> {
  if (ops.port === 0) return;
  const health = (): object => run.service?.health?.() ?? {};
  stack.own(await startOpsServer({ ...ops, ready: () => readiness(run), health }));
}

function listenToProcess(logger: Logger, draining: AbortController, reload: (() => void) | undefined): void {
  const onSignal = (signal: NodeJS.Signals): void => {
    if (draining.signal.aborted) {
      logger.warn({ signal }, "second signal, leaving at once");
      process.exit(1);
    }
    logger.info({ signal }, "draining");
    draining.abort(new Error(`${signal} received`));
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("SIGHUP", () => {
    try {
      reload?.();
      logger.info(reload ? "keys and issuers reloaded; other changes need a restart" : "nothing to reload");
    } catch (reason) {
      const isFault = reason instanceof ConfigError;
      logger.error(isFault ? {} : { err: reason }, "reload failed, the configuration stays as it was");
      if (isFault) process.stderr.write(`${reason.message}\n`);
    }
  });
  const die = (reason: unknown): void => {
    logger.fatal({ err: reason }, "unexpected failure");
    process.exit(1);
  };
  process.on("uncaughtException", die);
  process.on("unhandledRejection", die);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
    return undefined;
  });
}

/** A start that is told to stop has a while to do so; one that does not come back is left. */
function withinReach(started: Promise<Service>, told: Promise<void>): Promise<Service> {
  let timer: NodeJS.Timeout | undefined;
  let settled = false;
  return new Promise<Service>((resolve, reject) => {
    started.then(resolve, reject);
    void told.then(() => {
      if (!settled) timer = setTimeout(() => reject(new Error("told to stop while starting")), handBackMs);
    });
  }).finally(() => {
    settled = true;
    clearTimeout(timer);
  });
}

/** True when the service drained, in time or by handing back; false when it failed or did not come back. */
async function drainService(service: Service, logger: Logger, drainMs: number): Promise<boolean> {
  const limit = new AbortController();
  let giveUp: NodeJS.Timeout | undefined;
  const gaveUp = new Promise<"gave up">((resolve) => {
    giveUp = setTimeout(() => resolve("gave up"), drainMs + handBackMs);
  });
  const timer = setTimeout(() => limit.abort(new Error("the time to drain is up")), drainMs);
  try {
    const end = await Promise.race([service.drain(limit.signal), gaveUp]);
    if (limit.signal.aborted) logger.warn({ drainMs }, "drain took too long, what ran was handed back");
    return end !== "gave up";
  } catch (reason) {
    logger.error({ err: reason }, "drain failed");
    return false;
  } finally {
    clearTimeout(timer);
    clearTimeout(giveUp);
  }
}

/** The process ends by itself when nothing is open; what a library left open must not keep a drained process. */
function leave(logger: Logger): void {
  const timer = setTimeout(() => {
    logger.warn({ resources: process.getActiveResourcesInfo() }, "something is still open, leaving it");
    process.exit();
  }, lingerMs);
  timer.unref();
}
