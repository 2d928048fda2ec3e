import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { inject } from "vitest";

import { loadConfig } from "#shared/config/load-config.ts";
import type { SluiceConfig } from "#shared/config/schema.ts";
import type { WorkerCall } from "#shared/messages/call.ts";
import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { toGatewayError } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import { createJobConsumer } from "#shared/queue/job-consumer.ts";
import { createStoreKeys } from "#shared/store/store-keys.ts";
import { createJobProducer, type JobProducer } from "#shared/queue/job-producer.ts";
import { isSuperseded } from "#shared/rpc/superseded.ts";
import { createWorkerPool } from "#shared/rpc/worker-pool.ts";
import {
  startWorkerServer,
  type CallContext,
  type CallHandler,
  type StreamSink,
  type WorkerServer,
} from "#shared/rpc/worker-server.ts";
import { createCloseStack } from "#shared/runtime/close-stack.ts";
import { createBodyStore, type BodyStore } from "#shared/store/body-store.ts";
import { connectRedis } from "#shared/store/connect-redis.ts";
import { createResultStore, type ResultStore } from "#shared/store/result-store.ts";
import { createTraceStore, type TraceStore } from "#shared/store/trace-store.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { startGateway, type Gateway } from "../../services/gateway/start-gateway.ts";
import { eventually } from "./eventually.ts";
import { startCutProxy, type CutProxy } from "./cut-proxy.ts";
import { patience } from "./store-bed.ts";
import { messageBody, streamText } from "./wire-samples.ts";

/** What the worker does with a call; a test changes it at any time. */
export interface WorkerScript {
  invoke: (call: WorkerCall, context: CallContext) => Promise<Outcome>;
  stream: (call: WorkerCall, sink: StreamSink, context: CallContext) => Promise<void>;
}

export interface GatewayBedOptions {
  /** Sections of sluice.yaml that go over the bed's own, member by member; lists as they are. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly redisUrl?: string;
  /** False: jobs stay in their lanes. */
  readonly dispatcher?: boolean;
  /** 0: the gateway finds nobody at the workers' address. */
  readonly workers?: number;
}

/** A gateway on a free port, before a worker that does what the test says. */
export interface GatewayBed {
  readonly url: string;
  readonly gateway: Gateway;
  readonly config: SluiceConfig;
  readonly script: WorkerScript;
  /** Calls as the worker got them. */
  readonly calls: readonly WorkerCall[];
  readonly worker: WorkerServer | undefined;
  /** The wires to the workers, and which worker got a call. */
  readonly wires: readonly CutProxy[];
  readonly takenBy: ReadonlyMap<string, readonly number[]>;
  readonly results: ResultStore;
  readonly bodies: BodyStore;
  readonly traces: TraceStore;
  depth(): ReturnType<JobProducer["depth"]>;
  /** What the gateway says of itself. */
  health(): object;
  /** The gateway's log, one JSON object a line. */
  readonly lines: readonly string[];
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export const bedKeys = { key: "sk-bed", otherKey: "sk-other", opusKey: "sk-opus", slowKey: "sk-slow" };

export async function startGatewayBed(options: GatewayBedOptions = {}): Promise<GatewayBed> {
  const lines: string[] = [];
  const logger = createLogger({ name: "gateway", destination: { write: (line) => void lines.push(line) } });
  const stack = createCloseStack(logger);
  const script: WorkerScript = { invoke: answerWhole, stream: answerStreamed };
  const calls: WorkerCall[] = [];
  const takenBy = new Map<string, number[]>();
  const servers: WorkerServer[] = [];
  const wires: CutProxy[] = [];
  for (let index = 0; index < (options.workers ?? 1); index++) {
    const record = (call: WorkerCall): WorkerCall => {
      calls.push(call);
      takenBy.set(call.head.id, [...(takenBy.get(call.head.id) ?? []), index]);
      return call;
    };
    const handler: CallHandler = {
      invoke: (call, context) => script.invoke(record(call), context),
      stream: (call, sink, context) => script.stream(record(call), sink, context),
    };
    const server = stack.own(await startWorkerServer({ listen: "127.0.0.1:0", token: "bed", logger, handler }));
    servers.push(server);
    wires.push(stack.own(await startCutProxy(server.address)));
  }
  const config = await writeConfig(options, wires.map(({ address }) => address).join(",") || "127.0.0.1:1");
  const { url, prefix } = config.redis;
  const redis = stack.own(connectRedis(url, "command", { logger, ...patience(url) }));
  await redis.ready();
  const results = createResultStore({ redis, prefix, ttlMs: config.outcomes.ttlMs });
  const bodies = createBodyStore({ redis, prefix });
  const traces = stack.own(createTraceStore({ redis, prefix, ttlMs: config.trace.ttlMs, logger }));
  const producer = stack.own(createJobProducer(redis, { prefix }));
  if (options.dispatcher !== false) stack.own(await startDispatcher(config, results));
  const gateway = await startGateway(config, { own: (resource) => stack.own(resource), logger, maxLagMs: Infinity });
  await eventually(() => {
    const { workers } = { workers: 0, ...gateway.service.health?.() };
    if (workers < servers.length) throw new Error("not every worker is connected");
  });
  const base = `http://127.0.0.1:${gateway.port}`;
  const bed: GatewayBed = {
    url: base,
    gateway,
    config,
    script,
    calls,
    worker: servers[0],
    wires,
    takenBy,
    results,
    bodies,
    traces,
    depth: () => producer.depth(),
    health: () => gateway.service.health?.() ?? {},
    lines,
    post: (path, body, headers = {}) =>
      fetch(`${base}${path}`, {
        method: "POST",
        headers: { "x-api-key": bedKeys.key, "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    close: async () => {
      await stack.closeAll();
    },
    [Symbol.asyncDispose]: () => bed.close(),
  };
  return bed;
}

/** The least of a dispatcher: gives each job to the worker and settles what comes back. */
async function startDispatcher(config: SluiceConfig, results: ResultStore): Promise<{ close(): Promise<void> }> {
  const logger = createLogger({ name: "dispatcher", level: "silent" });
  const { url, prefix } = config.redis;
  const connection = connectRedis(url, "blocking", { logger });
  const { address, token } = config.workers;
  const pool = createWorkerPool({ address, token, peer: { kind: "dispatcher", id: "bed" }, logger });
  const running = new Map<string, AbortController>();
  const subscriber = connectRedis(url, "subscriber", { logger });
  const command = connectRedis(url, "command", { logger, ...patience(url) });
  const cancels = createResultStore({ redis: command, subscriber, prefix, ttlMs: 60_000 });
  const stopListening = cancels.onCancel((callId) => running.get(callId)?.abort());
  const consumers = (["interactive", "count", "background"] as const).map((lane) =>
    createJobConsumer({
      lane,
      concurrency: 100,
      lockMs: config.queue.lockMs,
      connection,
      prefix,
      marks: createStoreKeys(prefix).callMarks,
      logger,
      async handle(job, context) {
        const state = await results.begin(job.head.id);
        if (state.answered || state.cancelled) return;
        const abort = new AbortController();
        running.set(job.head.id, abort);
        const body = job.bodyKey === undefined ? { bytes: Buffer.from(job.body ?? "") } : { key: job.bodyKey };
        const call = { head: job.head, body, delivery: context.delivery };
        const reopened = job.reopened === true || context.redelivered;
        const outcome = await pool
          .invoke(call, { signal: abort.signal, keepOrphan: true, reopened })
          .catch((reason: unknown) =>
            isSuperseded(reason) ? undefined : errorOutcome(toGatewayError(reason), job.head.id),
          );
        running.delete(job.head.id);
        if (outcome && !abort.signal.aborted) await results.settle(job.head.id, outcome, job.replyTo);
      },
      onFailed: () => undefined,
    }),
  );
  return {
    async close() {
      stopListening();
      await Promise.all(consumers.map((consumer) => consumer.close(AbortSignal.timeout(100))));
      await pool.close();
      await Promise.all([connection.close(), subscriber.close(), command.close()]);
    },
  };
}

async function writeConfig(options: GatewayBedOptions, workerAddress: string): Promise<SluiceConfig> {
  const own: Record<string, unknown> = {
    server: { host: "127.0.0.1", port: 0 },
    redis: { url: options.redisUrl ?? inject("redisUrl"), prefix: `t${randomBytes(6).toString("hex")}` },
    workers: { address: `ipv4:${workerAddress}`, token: "bed" },
    providers: { one: { type: "anthropic", base_url: "http://127.0.0.1:9", api_key: "unused" } },
    models: {
      "claude-opus-4-8": { aliases: ["opus"], routes: ["one"] },
      "claude-haiku-4-5": { routes: ["one"] },
      "other-1": { routes: [{ provider: "one", model: "other-1" }], claude: false },
    },
    keys: [
      { name: "bed", key: bedKeys.key },
      { name: "other", key: bedKeys.otherKey },
      { name: "opus-only", key: bedKeys.opusKey, models: ["claude-opus-*"] },
      { name: "slow", key: bedKeys.slowKey, limits: { rpm: 2 } },
      { name: "one-at-a-time", key: "sk-single", limits: { concurrent: 1 } },
      { name: "expired", key: "sk-expired", expires_at: "2020-01-01T00:00:00Z" },
      { name: "disabled", key: "sk-disabled", disabled: true },
    ],
  };
  for (const [section, value] of Object.entries(options.config ?? {})) {
    const isList = Array.isArray(value);
    own[section] = isList ? value : { ...(own[section] as object | undefined), ...(value as object) };
  }
  const folder = await mkdtemp(join(tmpdir(), "sluice-bed-"));
  try {
    const file = join(folder, "sluice.yaml");
    await writeFile(file, JSON.stringify(own));
    return loadConfig({ SLUICE_CONFIG: file }, { process: "gateway" });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A call that ends well. */
export function wholeOutcome(body: unknown, facts: Partial<Outcome> = {}): Outcome {
  return {
    code: "ok",
    status: 200,
    headers: { "content-type": "application/json", "request-id": "req_up_1" },
    body: Buffer.from(JSON.stringify(body)),
    provider: "one",
    model: "claude-opus-4-8",
    attempts: [
      { provider: "one", model: "claude-opus-4-8", startedAt: 1, statusAt: 2, endedAt: 3, status: 200, reason: "ok" },
    ],
    waits: [],
    notes: [],
    ...facts,
  };
}

export const answerWhole: WorkerScript["invoke"] = (call) =>
  Promise.resolve(
    wholeOutcome(
      call.head.operation === "count_tokens" ? { input_tokens: 7 } : messageBody("hello", call.head.askedModel),
    ),
  );

export const answerStreamed: WorkerScript["stream"] = (call, sink) => {
  beginStream(sink);
  sink.write(Buffer.from(streamText("hello from the worker", call.head.askedModel)));
  endStream(sink);
  return Promise.resolve();
};

export function beginStream(sink: StreamSink): void {
  sink.head({
    status: 200,
    headers: { "content-type": "text/event-stream; charset=utf-8", "request-id": "req_up_2" },
    provider: "one",
    model: "claude-opus-4-8",
    attempts: 1,
  });
}

export function endStream(sink: StreamSink, end: "complete" | "error_event" | "cut" = "complete"): void {
  sink.end({
    end,
    code: end === "complete" ? "ok" : "overloaded",
    provider: "one",
    model: "claude-opus-4-8",
    attempts: [],
    waits: [],
    notes: [],
  });
}

/** The least body of a Message. */
export function ask(members: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { model: "claude-opus-4-8", max_tokens: 16, messages: [{ role: "user", content: "hi" }], ...members };
}
