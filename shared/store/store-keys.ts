import { createHash } from "node:crypto";

/** The names of everything in Redis. One hash tag for all, so that every script finds its keys in one slot. */
export interface StoreKeys {
  outcome(callId: string): string;
  cancelMark(callId: string): string;
  body(callId: string): string;
  /** BullMQ's hash of a job: its prefix, the queue's name, the job's id. */
  job(lane: string, callId: string): string;
  rate(keyId: string): string;
  leases(keyId: string): string;
  affinity(keyId: string, hash: string): string;
  bound(keyId: string, id: string): string;
  /** The traces of one part of time. */
  traces(bucket: number): string;
  /** The recorded events of a stream, and the lease of who records them. Each names a channel too, for its news. */
  events(keyId: string, callId: string): string;
  eventsLease(keyId: string, callId: string): string;
  probe(target: string): string;
  /** The call that is asking this; see `ask-print.ts` of the gateway. */
  ask(print: string): string;
  callers(callId: string): string;
  /** The deadline that later callers gave a call. */
  until(callId: string): string;
  jobRecord(callId: string): string;
  jobsOf(keyId: string): string;
  openJobs(keyId: string): string;
  claim(keyId: string, idempotencyKey: string): string;
  tape(callId: string): string;
  tapeReaders(callId: string): string;
  /** What a key used on a day, the keys that used anything on it, and which batch of sums a process wrote last. */
  usage(day: string, keyId: string): string;
  usageKeys(day: string): string;
  usageWriter(id: string): string;
  /** What a key has spent in a period, and until when it holds money for calls that run. */
  budget(keyId: string, period: string): string;
  budgetHolds(keyId: string, period: string): string;
  /** Names, but for the call's id, of what says that a call is answered, or cancelled. */
  readonly callMarks: { readonly answered: string; readonly cancelled: string };
  readonly targets: string;
  /** Hash by worker: how much of each target it uses. */
  readonly targetUse: string;
  /** Hash by target: the limits in its latest headers. */
  readonly headerLimits: string;
  readonly replyChannel: (instanceId: string) => string;
  readonly cancelChannel: string;
  readonly targetChannel: string;
}

export function createStoreKeys(prefix: string): StoreKeys {
  const tag = hashTag(prefix);
  return {
    outcome: (callId) => `${tag}:outcome:${callId}`,
    cancelMark: (callId) => `${tag}:cancel:${callId}`,
    body: (callId) => `${tag}:body:${callId}`,
    job: (lane, callId) => `${tag}:${lane}:${callId}`,
    rate: (keyId) => `${tag}:rate:${keyId}`,
    leases: (keyId) => `${tag}:leases:${keyId}`,
    affinity: (keyId, hash) => `${tag}:affinity:${scopedId(keyId, hash)}`,
    bound: (keyId, id) => `${tag}:bound:${scopedId(keyId, id)}`,
    traces: (bucket) => `${tag}:traces:${bucket}`,
    events: (keyId, callId) => `${tag}:events:${scopedId(keyId, callId)}`,
    eventsLease: (keyId, callId) => `${tag}:events-lease:${scopedId(keyId, callId)}`,
    probe: (target) => `${tag}:probe:${target}`,
    ask: (print) => `${tag}:ask:${print}`,
    callers: (callId) => `${tag}:callers:${callId}`,
    until: (callId) => `${tag}:until:${callId}`,
    jobRecord: (callId) => `${tag}:job:${callId}`,
    jobsOf: (keyId) => `${tag}:jobs:${keyId}`,
    claim: (keyId, idempotencyKey) => `${tag}:claim:${scopedId(keyId, idempotencyKey)}`,
    openJobs: (keyId) => `${tag}:open-jobs:${keyId}`,
    tape: (callId) => `${tag}:tape:${callId}`,
    tapeReaders: (callId) => `${tag}:tape-readers:${callId}`,
    usage: (day, keyId) => `${tag}:usage:${day}:${keyId}`,
    usageKeys: (day) => `${tag}:usage-keys:${day}`,
    usageWriter: (id) => `${tag}:usage-writer:${id}`,
    budget: (keyId, period) => `${tag}:budget:${period}:${keyId}`,
    budgetHolds: (keyId, period) => `${tag}:budget-holds:${period}:${keyId}`,
    callMarks: { answered: `${tag}:outcome:`, cancelled: `${tag}:cancel:` },
    targets: `${tag}:targets`,
    targetUse: `${tag}:target-use`,
    headerLimits: `${tag}:header-limits`,
    replyChannel: (instanceId) => `${tag}:reply:${instanceId}`,
    cancelChannel: `${tag}:cancelled`,
    targetChannel: `${tag}:target-news`,
  };
}

/** Redis Cluster's hash tag; the queue's keys have the same. */
function hashTag(prefix: string): string {
  return `{${prefix}}`;
}

const longestId = 128;

/** Both may hold any character: the length in front keeps (`a:b`, `c`) and (`a`, `b:c`) apart. */
export function scopedId(keyId: string, id: string): string {
  const short = id.length <= longestId ? id : createHash("sha256").update(id).digest("base64url");
  return `${keyId.length}:${keyId}:${short}`;
}
