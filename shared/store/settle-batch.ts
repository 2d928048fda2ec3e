import type { ScriptArgument, RedisScript } from "#shared/runtime/load-script.ts";
import { createTurnBatch } from "#shared/runtime/turn-batch.ts";

/** An outcome on its way into Redis. */
export interface Settlement {
  readonly outcomeKey: string;
  readonly bodyKey: string;
  readonly callersKey: string;
  /** How long the outcome is kept. */
  readonly ttlMs: number;
  readonly record: Buffer;
  readonly channel: string;
  resolve(result: "recorded" | "already"): void;
  reject(error: Error): void;
}

/** A script holds up everybody else in Redis, so neither number of outcomes nor their bytes may grow without end. */
const mostPerScript = 64;
const mostBytesPerScript = 1024 * 1024;

/** Settles what one event-loop turn brings with one script per reply channel, so that it is one published message. */
export function createSettleBatch(script: RedisScript): { add(settlement: Settlement): void } {
  function send(group: Settlement[]): void {
    const keys = group.flatMap(({ outcomeKey, bodyKey, callersKey }) => [outcomeKey, bodyKey, callersKey]);
    const args: ScriptArgument[] = [group[0]?.channel ?? "", group[0]?.ttlMs ?? 1];
    for (const { record } of group) args.push(record);
    script(keys, args).then(
      (results) => group.forEach((one, index) => one.resolve(isRecorded(results, index) ? "recorded" : "already")),
      (error: Error) => {
        for (const one of group) one.reject(error);
      },
    );
  }
  return createTurnBatch<Settlement>((batch) => {
    for (const group of groups(batch)) send(group);
  });
}

function isRecorded(results: unknown, index: number): boolean {
  return Array.isArray(results) && results[index] === 1;
}

function* groups(batch: readonly Settlement[]): Generator<Settlement[]> {
  const open = new Map<string, { group: Settlement[]; bytes: number; ttlMs: number }>();
  for (const one of batch) {
    const current = open.get(one.channel);
    const isAlike = current?.ttlMs === one.ttlMs && current.group.length < mostPerScript;
    if (isAlike && current.bytes + one.record.length <= mostBytesPerScript) {
      current.group.push(one);
      current.bytes += one.record.length;
      continue;
    }
    if (current) yield current.group;
    open.set(one.channel, { group: [one], bytes: one.record.length, ttlMs: one.ttlMs });
  }
  for (const { group } of open.values()) yield group;
}
