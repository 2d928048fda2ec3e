import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { inject } from "vitest";
import type { CallHead } from "#shared/messages/call.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { CallJob } from "#shared/queue/job.ts";
import { connectRedis, type RedisConnection, type RedisPurpose } from "#shared/store/connect-redis.ts";
import type { Logger } from "#shared/telemetry/logger.ts";

/** Connections and names of one test, closed in reverse order at its end. */
export interface StoreBed {
  /** Names of its own in a Redis that others use too. */
  readonly prefix: string;
  readonly logger: Logger;
  connect(purpose: RedisPurpose): Promise<RedisConnection>;
  own<Resource extends { close(): unknown }>(resource: Resource): Resource;
  onEnd(end: () => unknown): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The Redis that all tests share is there, however long it takes to answer; a test's own may be away. */
export function patience(url: string): { readonly commandTimeoutMs?: number } {
  return url === inject("redisUrl") ? { commandTimeoutMs: 20_000 } : {};
}

export function createStoreBed(url: string): StoreBed {
  const ends: (() => unknown)[] = [];
  const logger = pino({ level: "silent" });
  const bed: StoreBed = {
    prefix: `test-${randomUUID()}`,
    logger,
    async connect(purpose) {
      const connection = bed.own(connectRedis(url, purpose, { logger, ...patience(url) }));
      await connection.ready(AbortSignal.timeout(20_000));
      return connection;
    },
    own(resource) {
      ends.push(() => resource.close());
      return resource;
    },
    onEnd: (end) => void ends.push(end),
    async [Symbol.asyncDispose]() {
      for (const end of ends.toReversed()) await end();
    },
  };
  return bed;
}

export function callId(): string {
  return `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`;
}

export function sampleHead(id: string, more: Partial<CallHead> = {}): CallHead {
  const now = Date.now();
  return {
    id,
    operation: "messages",
    stream: false,
    keyId: "key:test",
    model: "claude-opus-4-8",
    askedModel: "claude-opus-4-8",
    headers: { "anthropic-version": "2023-06-01" },
    splices: { model: { start: 9, end: 26 } },
    wishes: {},
    acceptedAt: now,
    deadlineAt: now + 60_000,
    waitUntil: now + 30_000,
    ...more,
  };
}

export function sampleJob(id: string, more: Partial<CallJob> = {}): CallJob {
  return { version: 1, head: sampleHead(id), body: '{"model":"m"}', replyTo: "", enqueuedAt: Date.now(), ...more };
}

export function sampleOutcome(body = "answer", more: Partial<Outcome> = {}): Outcome {
  return {
    code: "ok",
    provider: "anthropic",
    model: "claude-opus-4-8",
    status: 200,
    headers: { "content-type": "application/json", "request-id": "req_1" },
    body: Buffer.from(body),
    attempts: [
      {
        provider: "anthropic",
        model: "claude-opus-4-8",
        startedAt: 1,
        endedAt: 2,
        status: 200,
        reason: "ok",
        upstreamRequestId: "req_1",
      },
    ],
    waits: [],
    notes: [],
    ...more,
  };
}
