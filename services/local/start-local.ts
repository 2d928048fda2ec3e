import { randomBytes } from "node:crypto";
import { join, relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { assertPortFree, freePort } from "./free-port.ts";
import { localKey } from "./local-key.ts";
import type { ChildSpec } from "./managed-child.ts";
import { planChildren, type ChildRole, type PlannedChild } from "./plan-children.ts";
import { provideRedis } from "./provide-redis.ts";
import type { LocalOptions } from "./read-local-options.ts";
import { readSurroundings, type Environment, type Surroundings } from "./read-surroundings.ts";
import { redisWords } from "./redis-words.ts";
import { readyzLacks } from "./readyz-lacks.ts";
import { renderLogLine, type LogStyle } from "./render-log-line.ts";
import { takeRunFile, type RunFile } from "./run-file.ts";
import { createSupervisor, type Supervisor } from "./supervisor.ts";
import { welcome } from "./welcome.ts";

export interface LocalContext {
  readonly env: Environment;
  readonly cwd: string;
  /** The project's folder. */
  readonly root: string;
  readonly colour: boolean;
  /** Writes one line on the screen. */
  readonly print: (line: string) => void;
  /** Aborts when it shall all end. */
  readonly end: AbortSignal;
  /** Aborts when it shall all end at once. */
  readonly endAtOnce: AbortSignal;
  /** Has an event `reload` when the gateways shall read their keys again. */
  readonly reload: EventTarget;
}

const startLimitMs = 60_000;
/** What a stage may take beyond the time that its calls are given. */
const stopLimitMs = 10_000;
/** An end that takes longer than this says why. */
const silentEndMs = 1000;
/** Children hold their lines back for a fifth of a second: only then have they said what they had to say. */
const quiet = { forMs: 300, mostMs: 2000 };
const stages: readonly ChildRole[] = ["simulator", "worker", "dispatcher", "gateway"];
/** How the command lines of what we start can be told from strangers'. */
const marks = ["redis-server", "valkey-server", ...[...stages, "local"].map((role) => `services/${role}/main.ts`)];

/** Brings up everything and keeps it up until `end` aborts. Rejects, with nothing left running, when that fails. */
export async function startLocal(options: LocalOptions, context: LocalContext): Promise<void> {
  const say = (line: string): void => context.print(`sluice: ${line}`);
  const setup: Setup = {
    options,
    context,
    say,
    env: { ...context.env, ...(options.port === undefined ? {} : { PORT: String(options.port) }) },
    dataDir: resolve(context.cwd, options.dataDir),
    takePort: createPortTaker(),
  };
  const simulatorPort = await setup.takePort();
  const redisPort = await setup.takePort();
  const surroundings = await readSurroundings(setup.env, context.cwd, {
    redisUrl: `redis://127.0.0.1:${redisPort}`,
    simulatorUrl: `http://127.0.0.1:${simulatorPort}`,
  });
  const runFile = await takeRunFile({ file: join(setup.dataDir, "run", "local.json"), marks, say });
  try {
    await checkPort(surroundings);
    const everything = await decideEverything({ ...surroundings, simulatorPort, redisPort }, setup);
    await runAll(everything, { ...context, say, runFile });
  } finally {
    runFile.close();
  }
}

interface Setup {
  readonly options: LocalOptions;
  readonly context: LocalContext;
  readonly env: Environment;
  readonly dataDir: string;
  readonly takePort: () => Promise<number>;
  readonly say: (line: string) => void;
}

interface Found extends Surroundings {
  readonly simulatorPort: number;
  readonly redisPort: number;
}

async function decideEverything(found: Found, { options, context, ...setup }: Setup): Promise<Everything> {
  const { env, dataDir } = setup;
  const redis = await provideRedis({
    givenUrl: found.redisUrl,
    dataDir,
    searchPath: env["PATH"] ?? "",
    allowDownload: options.allowDownload,
    port: found.redisPort,
    say: setup.say,
  });
  const keyFile = join(dataDir, "key");
  const ownKey = found.hasKeys ? undefined : (await localKey(keyFile)).key;
  const key = found.knownKey ?? ownKey;
  const plan = await planChildren({
    ...found,
    root: context.root,
    compileCache: join(dataDir, "compiled"),
    workers: options.workers,
    dispatchers: options.dispatchers,
    withSimulator: found.usesSimulator,
    redisUrl: redis.url,
    workerToken: env["SLUICE_WORKER_TOKEN"] || randomBytes(18).toString("base64url"),
    key,
    env,
    takePort: setup.takePort,
  });
  const keptIn = ownKey === undefined ? undefined : shortPath(keyFile, context.cwd);
  const metricsUrl = plan.find(({ role }) => role === "gateway")?.readyUrl.replace(/readyz$/, "metrics") ?? "";
  const text = welcome({ ...found, key, keyFile: keptIn, simulated: found.usesSimulator, metricsUrl });
  return { redis: redis.child, plan, welcome: text, drainMs: found.drainMs };
}

/** As a person in `cwd` would write it. */
function shortPath(file: string, cwd: string): string {
  const path = relative(cwd, file);
  return path.startsWith("..") ? file : path;
}

interface Everything {
  readonly redis: ChildSpec | undefined;
  readonly plan: readonly PlannedChild[];
  readonly welcome: string;
  readonly drainMs: number;
}

interface RunContext extends LocalContext {
  readonly runFile: RunFile;
  readonly say: (line: string) => void;
}

async function runAll(everything: Everything, context: RunContext): Promise<void> {
  const names = ["redis", ...everything.plan.map(({ name }) => name)];
  const style: LogStyle = { colour: context.colour, nameWidth: Math.max(...names.map((name) => name.length)) };
  let lastLineAt = Date.now();
  const supervisor = createSupervisor({
    say: context.say,
    onLine: (name, line) => {
      lastLineAt = Date.now();
      const words = name === "redis" ? redisWords(line) : line;
      if (words !== undefined) context.print(renderLogLine(name, words, style));
    },
    onPid: context.runFile.note,
  });
  context.endAtOnce.addEventListener("abort", () => supervisor.kill(), { once: true });
  context.reload.addEventListener("reload", () => {
    for (const { name } of everything.plan)
      if (/^(?:gateway|dispatcher|worker)/.test(name)) supervisor.pass(name, "SIGHUP");
  });
  const ending = new Promise<void>((resolve) => context.end.addEventListener("abort", () => resolve(), { once: true }));
  let isUp = false;
  try {
    if (context.end.aborted) return;
    await Promise.race([bringUp(everything, supervisor), ending]);
    isUp = true;
    await Promise.race([untilQuiet(() => lastLineAt), ending]);
    if (!context.end.aborted) context.print(everything.welcome);
    await ending;
  } finally {
    await endAll(supervisor, isUp ? everything.drainMs : 0, context.say);
  }
}

async function untilQuiet(lastLineAt: () => number): Promise<void> {
  const giveUpAt = Date.now() + quiet.mostMs;
  while (Date.now() < Math.min(giveUpAt, lastLineAt() + quiet.forMs)) await sleep(50);
}

async function endAll(supervisor: Supervisor, drainMs: number, say: (line: string) => void): Promise<void> {
  say("ending what runs");
  const words = `waiting for calls to finish, at most ${drainMs / 1000} s; Ctrl-C again ends it at once`;
  const timer = drainMs === 0 ? undefined : setTimeout(() => say(words), silentEndMs);
  await supervisor.stop(drainMs + stopLimitMs);
  clearTimeout(timer);
  say("ended");
}

async function bringUp({ redis, plan }: Everything, supervisor: Supervisor): Promise<void> {
  if (redis) await supervisor.start([redis], startLimitMs);
  // Side by side, each waiting for what it needs: in this order they are only ended.
  const starts = stages.map((stage) =>
    supervisor.start(plan.filter(({ role }) => role === stage).map(toChildSpec), startLimitMs),
  );
  await Promise.all(starts);
}

function toChildSpec({ name, script, env, readyUrl }: PlannedChild): ChildSpec {
  return { name, command: process.execPath, args: [script], env, lacks: () => readyzLacks(readyUrl) };
}

async function checkPort({ host, port }: Surroundings): Promise<void> {
  try {
    await assertPortFree(host, port);
  } catch (reason) {
    throw new Error(
      `Port ${port} of ${host} ${whyNot(reason)}. Choose another: npm start -- --port ${port + 1}, or PORT.`,
      {
        cause: reason,
      },
    );
  }
}

function whyNot(reason: unknown): string {
  const code = reason instanceof Error && "code" in reason ? String(reason.code) : "";
  if (code === "EADDRINUSE") return "is taken by another program";
  return code === "EACCES" ? "needs root" : `cannot be used (${code})`;
}

function createPortTaker(): () => Promise<number> {
  const taken = new Set<number>();
  return async () => {
    for (;;) {
      const port = await freePort();
      if (taken.has(port)) continue;
      taken.add(port);
      return port;
    }
  };
}
