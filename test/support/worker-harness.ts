import { randomUUID } from "node:crypto";
import type { AnthropicProviderConfig, EngineConfig, ProviderConfig, SluiceConfig } from "#shared/config/schema.ts";
import { readBody } from "#shared/messages/body.ts";
import type { CallHead, Operation, SentNote, WorkerCall } from "#shared/messages/call.ts";
import type { AnswerHead, Outcome, StreamTrailer } from "#shared/messages/outcome.ts";
import { createCatalogue } from "#shared/routing/catalogue.ts";
import type { CallContext, CallHandler, StreamSink } from "#shared/rpc/call-handler.ts";
import { createAffinityStore, type AffinityStore } from "#shared/store/affinity.ts";
import { createBodyStore, type BodyStore } from "#shared/store/body-store.ts";
import { createCallRegistry } from "#shared/store/call-registry.ts";
import { connectRedis } from "#shared/store/connect-redis.ts";
import { createTargetBoard, type TargetBoard } from "#shared/store/target-board.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { createMetrics, type Metrics } from "#shared/telemetry/metrics.ts";
import { Registry } from "prom-client";
import { createEngineDeps } from "../../services/worker/engine/engine-deps.ts";
import { createProviders } from "../../services/worker/engine/provider.ts";
import type { StreamLimits } from "../../services/worker/engine/stream-attempt.ts";
import { createCallHandler } from "../../services/worker/handle-call.ts";
import { eventually } from "./eventually.ts";
import { patience } from "./store-bed.ts";

/** A worker's call handler with everything behind it but the session, for tests that call it directly. */
export interface WorkerHarness {
  readonly handler: CallHandler;
  readonly board: TargetBoard;
  readonly affinity: AffinityStore;
  readonly bodies: BodyStore;
  readonly registry: Registry;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A base URL, more of the configuration of a provider of type `anthropic`, or the whole of any. */
type GivenProvider = string | Partial<AnthropicProviderConfig> | ProviderConfig;

export interface HarnessOptions {
  /** By name, in the order of the route. */
  readonly providers: Readonly<Record<string, GivenProvider>>;
  readonly redisUrl: string;
  /** Models beside `modelName`, through every provider too. */
  readonly otherModels?: readonly string[];
  /** Shared between workers of one test. */
  readonly prefix?: string;
  readonly engine?: Partial<EngineConfig>;
  readonly streams?: Partial<StreamLimits>;
  /** Where the log's lines go; nowhere if absent. */
  readonly logLines?: string[];
  /** Does not wait for Redis. */
  readonly isRedisAway?: boolean;
}

export const modelName = "claude-opus-4-8";

export async function startWorkerHarness(options: HarnessOptions): Promise<WorkerHarness> {
  const { logLines } = options;
  const destination = { write: (line: string) => void logLines?.push(line) };
  const logger = createLogger({ name: "test", level: logLines ? "info" : "silent", destination });
  const prefix = options.prefix ?? `test-${randomUUID()}`;
  const redis = connectRedis(options.redisUrl, "command", { logger, ...patience(options.redisUrl) });
  const subscriber = connectRedis(options.redisUrl, "subscriber", { logger });
  const board = createTargetBoard({ redis, subscriber, prefix, logger });
  const registry = new Registry();
  const { config, providers } = openProviders(options);
  const affinity = createAffinityStore({ redis, prefix });
  const bodies = createBodyStore({ redis, prefix });
  const registered = createCallRegistry({ redis, prefix });
  const metrics: Metrics = createMetrics(registry);
  const catalogue = createCatalogue(config);
  const handler = createCallHandler({
    engine: createEngineDeps({
      config: config.engine,
      providers,
      catalogue,
      board,
      metrics,
      laterDeadline: (callId) => registered.laterDeadline(callId).catch(() => undefined),
      logger,
    }),
    catalogue,
    affinity,
    bodies,
    streams: { headersTimeoutMs: 20_000, idleMs: 20_000, maxStreamMs: 60_000, holdMs: 20_000, ...options.streams },
    logger,
  });
  if (!options.isRedisAway) {
    await redis.ready();
    await eventually(() => {
      if (!board.shared) throw new Error("the board is not shared yet");
    });
  }
  const close = async (): Promise<void> => {
    await providers.close();
    board.close();
    await Promise.all([redis.close(), subscriber.close()]);
  };
  return { handler, board, affinity, bodies, registry, close, [Symbol.asyncDispose]: close };
}

function openProviders(options: HarnessOptions): {
  readonly config: Pick<SluiceConfig, "engine" | "models" | "providers">;
  readonly providers: ReturnType<typeof createProviders>;
} {
  const engine: EngineConfig = {
    rerunSent: true,
    sameTargetRetries: 1,
    backoffBaseMs: 5,
    backoffMaxMs: 20,
    connectTimeoutMs: 20_000,
    headersTimeoutMs: 20_000,
    ...options.engine,
  };
  const named = Object.entries(options.providers).map(([name, given]) => [name, providerConfig(given)] as const);
  const configs = Object.fromEntries(named);
  const models = Object.fromEntries(
    [modelName, ...(options.otherModels ?? [])].map((name) => {
      const routes = named.map(([provider, config]) => ({ provider, model: config.models[name] ?? name }));
      return [name, { aliases: [], routes, claude: true }];
    }),
  );
  const providers = createProviders(configs, { connectTimeoutMs: engine.connectTimeoutMs });
  return { config: { engine, models, providers: configs }, providers };
}

function providerConfig(given: GivenProvider): ProviderConfig {
  const defaults: AnthropicProviderConfig = {
    type: "anthropic",
    baseUrl: "http://127.0.0.1:1",
    apiKey: "provider-key",
    auth: "x-api-key",
    headers: {},
    connections: 64,
    threads: true,
    models: {},
  };
  if (typeof given === "string") return { ...defaults, baseUrl: given };
  return isWhole(given) ? given : { ...defaults, ...given };
}

function isWhole(given: Exclude<GivenProvider, string>): given is ProviderConfig {
  return given.type !== undefined && given.type !== "anthropic";
}

export interface CallOptions {
  readonly body?: Readonly<Record<string, unknown>>;
  /** The body's bytes, in place of `body`. */
  readonly bytes?: Buffer;
  readonly operation?: Operation;
  readonly stream?: boolean;
  /** From now. */
  readonly deadlineMs?: number;
  readonly head?: Partial<CallHead>;
  readonly sentBefore?: SentNote;
  readonly delivery?: number;
}

/** A call as a gateway makes it from this body. */
export function makeCall(options: CallOptions = {}): WorkerCall {
  const operation = options.operation ?? "messages";
  const body = options.body ?? {
    model: modelName,
    max_tokens: 64,
    ...(options.stream ? { stream: true } : {}),
    messages: [{ role: "user", content: `hello ${randomUUID()}` }],
  };
  const bytes = options.bytes ?? Buffer.from(JSON.stringify(body));
  const facts = readBody(bytes, operation);
  const now = Date.now();
  const head: CallHead = {
    id: `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`,
    operation,
    stream: facts.stream,
    keyId: "key:test",
    model: modelName,
    askedModel: facts.model,
    headers: { "anthropic-version": "2023-06-01", "content-type": "application/json" },
    splices: facts.splices,
    wishes: facts.wishes,
    ...(facts.affinityHash === undefined ? {} : { affinity: facts.affinityHash }),
    ...(facts.thread ? { thread: facts.thread } : {}),
    ...(facts.container === undefined ? {} : { container: facts.container }),
    acceptedAt: now,
    deadlineAt: now + (options.deadlineMs ?? 40_000),
    waitUntil: now,
    ...options.head,
  };
  return {
    head,
    body: { bytes },
    delivery: options.delivery ?? 1,
    ...(options.sentBefore ? { sentBefore: options.sentBefore } : {}),
  };
}

export interface TestContext extends CallContext {
  readonly sentNotes: readonly SentNote[];
  abort(): void;
}

export function makeContext(): TestContext {
  const controller = new AbortController();
  const sentNotes: SentNote[] = [];
  return {
    signal: controller.signal,
    sent: (note) => void sentNotes.push(note),
    sentNotes,
    abort: () => controller.abort(new Error("the caller is gone")),
  };
}

/** What a streamed call gave, as its gateway would see it. */
export interface TestSink extends StreamSink {
  readonly events: readonly ("outcome" | "head" | "data" | "end")[];
  readonly answerHead: AnswerHead | undefined;
  readonly text: string;
  readonly bytes: number;
  readonly trailer: StreamTrailer | undefined;
  readonly refused: Outcome | undefined;
  /** From now on every write says that the reader is full, until `drain`. */
  stopReading(): void;
  drain(): void;
}

export function makeSink(): TestSink {
  const chunks: Buffer[] = [];
  const events: ("outcome" | "head" | "data" | "end")[] = [];
  let isFull = false;
  let given: { head?: AnswerHead; trailer?: StreamTrailer; outcome?: Outcome } = {};
  const sink: TestSink = {
    source: undefined,
    events,
    get answerHead() {
      return given.head;
    },
    get text() {
      return Buffer.concat(chunks).toString("utf8");
    },
    get bytes() {
      return chunks.reduce((sum, { length }) => sum + length, 0);
    },
    get trailer() {
      return given.trailer;
    },
    get refused() {
      return given.outcome;
    },
    outcome: (outcome) => {
      events.push("outcome");
      given = { ...given, outcome };
    },
    head: (head) => {
      events.push("head");
      given = { ...given, head };
    },
    write: (chunk) => {
      events.push("data");
      chunks.push(chunk);
      return !isFull;
    },
    end: (trailer) => {
      events.push("end");
      given = { ...given, trailer };
    },
    stopReading: () => {
      isFull = true;
    },
    drain: () => {
      isFull = false;
      sink.source?.resume();
    },
  };
  return sink;
}

export interface Streamed {
  readonly sink: TestSink;
  readonly context: TestContext;
  readonly done: Promise<void>;
}

/** Starts a streamed call. */
export function startStream(harness: WorkerHarness, call: WorkerCall): Streamed {
  const sink = makeSink();
  const context = makeContext();
  return { sink, context, done: harness.handler.stream(call, sink, context) };
}

/** The error in an outcome's body. */
export function errorOf(outcome: Outcome | undefined): {
  readonly type: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
} {
  const envelope = JSON.parse(outcome?.body.toString("utf8") ?? "{}") as { error: ReturnType<typeof errorOf> };
  return envelope.error;
}

/** The reasons of a call's attempts, in order. */
export function reasonsOf(facts: { readonly attempts: readonly { readonly reason: string }[] } | undefined): string[] {
  return facts?.attempts.map(({ reason }) => reason) ?? [];
}
