/** What one metric is; its exposed name is `sluice_` and its key in snake_case. */
export interface MetricRow {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** Closed sets only: operations, catalogue and configured names, codes. Never an id, a key or a caller's words. */
  readonly labels: readonly string[];
  /** Histograms only, in the metric's unit. */
  readonly buckets?: readonly number[];
}

const callBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1800, 3600];
const waitBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 30, 60, 300];

/** Every metric of every process. To add one: a row here, and the call site. */
export const metricTable = {
  callsTotal: {
    kind: "counter",
    help: "Calls that ended at the gateway, by our code: ok, upstream (a provider's 4xx passed on) or an error code.",
    labels: ["operation", "stream", "model", "code"],
  },
  callSeconds: {
    kind: "histogram",
    help: "From a call's acceptance to the end of its answer.",
    labels: ["operation", "stream", "model"],
    buckets: callBuckets,
  },
  timeToFirstContentSeconds: {
    kind: "histogram",
    help: "From a stream's acceptance to its first content.",
    labels: ["model"],
    buckets: callBuckets,
  },
  inFlight: { kind: "gauge", help: "Calls in hand in this process.", labels: ["operation", "stream"] },
  bodyBytesInFlight: { kind: "gauge", help: "Request bytes that the gateway holds in memory.", labels: [] },
  shedTotal: {
    kind: "counter",
    help: "Calls refused under load, by what ran out: waiting, bytes, event_loop, redis.",
    labels: ["reason"],
  },
  keyLimitedTotal: {
    kind: "counter",
    help: "Calls refused by their key's own limit: rpm, concurrent.",
    labels: ["limit"],
  },
  credentialsRefusedTotal: {
    kind: "counter",
    help: "Requests without a valid credential: missing, unknown, expired, disabled, oidc, oidc_away (issuer unreachable).",
    labels: ["reason"],
  },
  callersGoneTotal: {
    kind: "counter",
    help: "Calls whose caller left before the end.",
    labels: ["operation", "stream"],
  },
  openedStraightTotal: {
    kind: "counter",
    help: "Queued calls that went straight to a worker because Redis was away.",
    labels: ["operation"],
  },
  joinedTotal: {
    kind: "counter",
    help: "Calls that were not made again: joined to the same one under way, or its answer given once more (replayed).",
    labels: ["operation", "how"],
  },
  jobsTotal: {
    kind: "counter",
    help: "Asynchronous calls that ended, by code.",
    labels: ["operation", "model", "code"],
  },
  attemptsTotal: {
    kind: "counter",
    help: "HTTP exchanges with a target, by how they ended (the trace's reasons). `model` is the upstream id.",
    labels: ["provider", "model", "reason"],
  },
  attemptSeconds: {
    kind: "histogram",
    help: "From the start of an attempt to its end.",
    labels: ["provider", "model"],
    buckets: callBuckets,
  },
  possibleDoubleChargeTotal: {
    kind: "counter",
    help: "Attempts that repeated one which was sent but never answered: a provider may charge both.",
    labels: ["provider", "model"],
  },
  tokensTotal: {
    kind: "counter",
    help: "Tokens by a provider's own count: input, output, cache_read, cache_creation.",
    labels: ["provider", "model", "kind"],
  },
  breakerOpeningsTotal: { kind: "counter", help: "Times a target's breaker opened.", labels: ["provider", "model"] },
  targetBlockedTotal: {
    kind: "counter",
    help: "Times a target was marked, by why: rate_limited, credential, exhausted.",
    labels: ["provider", "model", "reason"],
  },
  targetConcurrency: {
    kind: "gauge",
    help: "Calls at a time at a target: limit (what this worker thinks it takes), interactive, background (in hand).",
    labels: ["provider", "model", "kind"],
  },
  streamEndsTotal: {
    kind: "counter",
    help: "How streams that had begun ended: complete, error_event, cut.",
    labels: ["end"],
  },
  recordedStreams: { kind: "gauge", help: "Streams whose events this process records.", labels: [] },
  eventReaders: { kind: "gauge", help: "Recordings that this process reads out.", labels: [] },
  sessions: { kind: "gauge", help: "Open sessions of this process with its workers or peers.", labels: [] },
  orphans: { kind: "gauge", help: "Calls a worker holds although their opener is gone.", labels: [] },
  workersLostTotal: { kind: "counter", help: "Sessions that ended without a farewell.", labels: [] },
  attachesTotal: {
    kind: "counter",
    help: "Questions for the holder of a call, by answer: held, unknown.",
    labels: ["result"],
  },
  queueDepth: {
    kind: "gauge",
    help: "Jobs in a lane, by state: waiting, delayed, active.",
    labels: ["lane", "state"],
  },
  queueWaitSeconds: {
    kind: "histogram",
    help: "From a job's enqueueing to its being taken.",
    labels: ["lane"],
    buckets: waitBuckets,
  },
  parkedTotal: { kind: "counter", help: "Jobs put back until a limit resets.", labels: ["lane"] },
  redeliveredTotal: {
    kind: "counter",
    help: "Jobs that were taken again after their dispatcher was lost.",
    labels: ["lane"],
  },
  settledTotal: { kind: "counter", help: "Outcomes recorded, by how: recorded, already.", labels: ["result"] },
  batchItemsTotal: {
    kind: "counter",
    help: "Items of batches that ended, by how: succeeded, errored, canceled, expired.",
    labels: ["end"],
  },
  redisUp: { kind: "gauge", help: "1 while this process reaches Redis.", labels: [] },
  redisInterruptionsTotal: { kind: "counter", help: "Times the connection to Redis was lost.", labels: ["purpose"] },
} as const satisfies Record<string, MetricRow>;

export type MetricKey = keyof typeof metricTable;
