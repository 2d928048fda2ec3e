import { Type } from "typebox";
import { choiceSchema, duration, flag, integer, listSchema, port, rules, size, text, textSchema } from "./fields.ts";
import type { Field } from "./fields.ts";
import { logLevels, queueUses, type LogLevel, type QueueUse } from "./schema.ts";

const many = Number.MAX_SAFE_INTEGER;

const corsOrigins: Field<readonly string[]> = {
  schema: listSchema("Origins whose pages may call the gateway from a browser; empty: none.", textSchema("An origin.")),
  read: (value) => value as string[],
  fallback: [],
};

const trustProxy: Field<boolean | readonly string[]> = {
  schema: Type.Union([Type.Boolean(), listSchema("", textSchema("An address or network."))], {
    description: "Whose x-forwarded-* headers are believed: nobody's, everybody's, or these addresses' and networks'.",
    default: false,
    errorMessage: "must be true, false, or a list of addresses and networks",
  }),
  read: (value) => value as boolean | string[],
  fallback: false,
};

/** The HTTP front. */
export const serverFields = {
  host: text("Address to listen on.", "127.0.0.1"),
  port: port("Port to listen on; 0: any free one. PORT in the environment overrides it.", 8080),
  publicUrl: text("What callers reach the gateway by; empty: taken from the request.", "", rules.emptyOrHttpUrl),
  corsOrigins,
  heartbeatAfterMs: duration("A whole answer that takes longer gets its 200 and a space every 15 s.", 240_000),
  commitAfterMs: duration("A stream without content gets its 200 and a comment after this.", 45_000),
  maxBodyBytes: size("Largest request body.", 32 * 2 ** 20),
  bodyBudgetBytes: size("All request bodies in memory at a time; more calls are shed.", 512 * 2 ** 20),
  bodyTimeoutMs: duration("A request body has to be complete by then.", 120_000),
  minBodyBytesPerSecond: integer("A request body that comes more slowly is cut off.", 65_536, { min: 1, max: many }),
  pingAfterMs: duration("Silence in a stream after which the caller gets a ping.", 15_000),
  streamIdleMs: duration("Silence from a provider after which a stream is cut.", 300_000),
  maxStreamMs: duration("Longest stream.", 3_600_000, "max_stream_seconds"),
  trustProxy,
  drainMs: duration("How long a process that was told to stop lets calls finish.", 600_000, "drain_seconds"),
  maxWaiting: integer("Open calls beyond which new ones are shed.", 20_000, { min: 1, max: many }),
};

/** Without the encryption key, which has no default. */
export const redisFields = {
  url: text(
    "Where Redis is, with password and TLS (rediss://) if it has them.",
    "redis://127.0.0.1:6379",
    rules.redisUrl,
  ),
  prefix: text("First part of every key.", "sluice", rules.word),
};

/** Without TLS, which has no default. */
export const workersFields = {
  address: text(
    "Where gateways and dispatchers find workers: any gRPC name, such as dns:///worker:50051.",
    "ipv4:127.0.0.1:50051",
  ),
  listen: text(
    "Where a worker listens; beyond loopback it wants a token or TLS.",
    "127.0.0.1:50051",
    rules.listenAddress,
  ),
  token: text("What a gateway or dispatcher shows a worker.", ""),
};

export const engineFields = {
  rerunSent: flag(
    "Whether a call that was sent but never answered is sent once more; the provider may charge both.",
    true,
  ),
  sameTargetRetries: integer("Further tries on a target that answered with a server error.", 1, { min: 0, max: 10 }),
  backoffBaseMs: duration("First back-off, doubled with every failure.", 500),
  backoffMaxMs: duration("Longest back-off.", 8_000),
  connectTimeoutMs: duration("Time to connect to a provider.", 10_000),
  headersTimeoutMs: duration("Time a provider has for the status line of a stream.", 120_000),
};

const interactive: Field<QueueUse> = {
  schema: choiceSchema(
    "always: whole answers and counts go through the queue; when_waiting: straight to a worker while nothing waits in their lane.",
    queueUses,
    "always",
  ),
  read: (value) => value as QueueUse,
  fallback: "always",
};

export const queueFields = {
  interactive,
  lingerMs: duration("How long a whole answer goes on after its caller left, for a retry to join it.", 5_000),
  lockMs: duration(
    "How long the jobs of a dispatcher that says nothing more are left to it. Longer than any pause it may make: a job that is lost too early is delivered twice.",
    15_000,
  ),
};

/** Asynchronous calls. */
export const jobsFields = {
  expiresAfterMs: duration("How long a job may take.", 86_400_000),
  keepMs: duration("How long what came of a job can be read.", 86_400_000),
  maxOpen: integer("Jobs that one key may have open at a time.", 10_000, { min: 1, max: 1_000_000 }),
};

export const lanesFields = {
  interactive: integer("Whole answers that one dispatcher runs at a time.", 1_000, { min: 1, max: 100_000 }),
  count: integer("Token counts that one dispatcher runs at a time.", 200, { min: 1, max: 100_000 }),
  background: integer(
    "Most background jobs that one dispatcher runs at a time; how many it runs follows what interactive calls leave.",
    100,
    { min: 1, max: 100_000 },
  ),
};

export const traceFields = { ttlMs: duration("How long the trace of a call can be read.", 3_600_000) };

export const outcomesFields = {
  ttlMs: duration("How long an outcome is kept for a second delivery of its job.", 600_000),
};

/** Message Batches. */
export const batchesFields = {
  maxBodyBytes: size("Largest body of a batch.", 256 * 2 ** 20),
  maxRequests: integer("Most requests of a batch.", 100_000, { min: 1, max: 1_000_000 }),
  expireAfterMs: duration("Requests of a batch that have not ended by then expire.", 86_400_000),
  keepResultsMs: duration("How long after its creation the results of a batch can be read.", 29 * 86_400_000),
  maxOpenItems: integer("Requests that may wait or run in all batches of one key.", 200_000, { min: 1, max: many }),
  window: integer("Requests of one batch that are in the queue at a time.", 500, { min: 1, max: 5_000 }),
};

export const eventsFields = {
  maxBytes: size("Largest recording of a stream that outlives its caller.", 8 * 2 ** 20),
  ttlMs: duration("How long a recording can be read after its last event.", 900_000),
  leaseMs: duration(
    "How long a recording whose gateway says nothing more counts as going on; readers hear half as much later that it was cut off.",
    10_000,
  ),
  maxReaders: integer("Recordings that one gateway reads out at a time.", 1_000, { min: 1, max: 100_000 }),
};

const opsPort = "Port of /livez, /readyz and /metrics; 0: off. SLUICE_OPS_PORT overrides it.";

export const opsFields = {
  host: text("Address of the ops ports.", "127.0.0.1"),
  gateway: port(opsPort, 9464),
  dispatcher: port(opsPort, 9465),
  worker: port(opsPort, 9466),
  simulator: port(opsPort, 9467),
};

const level: Field<LogLevel> = {
  schema: choiceSchema("Least important lines to log.", logLevels, "info"),
  read: (value) => value as LogLevel,
  fallback: "info",
};

export const logFields = { level };
