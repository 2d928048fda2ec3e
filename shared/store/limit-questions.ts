import { setImmediate as nextTurn } from "node:timers/promises";
import { loadScript, type ScriptArgument } from "#shared/runtime/load-script.ts";
import { createTurnBatch } from "#shared/runtime/turn-batch.ts";
import type { RedisConnection } from "./connect-redis.ts";
import type { LeaseReturns } from "./lease-returns.ts";
import type { Limits } from "./local-limits.ts";
import type { RoomyKeys } from "./roomy-keys.ts";
import type { StoreKeys } from "./store-keys.ts";

/** Whether a call has room below its key's limits; it is counted there if it has, or has begun. */
export interface LimitQuestion {
  readonly keyId: string;
  readonly callId: string;
  /** 0 of a call that has ended before it was counted. */
  holdMs: number;
  /** From then on what is held has to be given back. */
  isSent: boolean;
}

export interface LimitQuestions {
  /**
   * `waitMs`: after which to try again, 0 when the call is admitted; rejects as commands of Redis do. What has begun is not
   * waited for by anybody: it is asked with the next that is, or within 20 ms.
   */
  ask(keyId: string, limits: Limits, call: AskedCall): { question: LimitQuestion; waitMs: Promise<number> };
  /** Asks what there is, at the latest when it resolves. */
  flush(): Promise<void>;
}

export interface AskedCall {
  readonly id: string;
  readonly holdMs: number;
  readonly hasBegun: boolean;
}

interface Asked extends LimitQuestion {
  readonly limits: Limits;
  readonly hasBegun: boolean;
  resolve(waitMs: number): void;
  reject(error: Error): void;
}

/** A script holds up everybody else in Redis. */
const mostPerScript = 128;
/** How long other gateways may not see a call that has begun. */
const countWithinMs = 20;

export function createLimitQuestions(options: {
  readonly redis: RedisConnection;
  readonly keys: StoreKeys;
  readonly returns: LeaseReturns;
  readonly roomy: RoomyKeys;
}): LimitQuestions {
  const { redis, keys, returns, roomy } = options;
  const admitCalls = loadScript(redis.client, new URL("admit-calls.lua", import.meta.url));
  const asking = createTurnBatch<Asked>((batch) => {
    for (const [keyId, questions] of Map.groupBy(batch, (question) => question.keyId)) askTogether(keyId, questions);
  }, mostPerScript);
  let uncounted: Asked[] = [];
  let timer: NodeJS.Timeout | undefined;

  /** One script per key and turn: alone each call costs Redis four times as much. */
  function askTogether(keyId: string, questions: readonly Asked[]): void {
    const { limits } = questions[0] as Asked;
    const returned = returns.take(keyId);
    const args: ScriptArgument[] = [limits.rpm ?? 0, limits.concurrent ?? 0, returned.length, ...returned];
    for (const question of questions) {
      question.isSent = true;
      args.push(question.callId, Math.ceil(question.holdMs), question.hasBegun ? 1 : 0);
    }
    admitCalls([keys.rate(keyId), keys.leases(keyId)], args).then(
      (reply) => {
        const [isRoomy, ...waits] = reply as readonly unknown[];
        roomy.learn(keyId, isRoomy === 1);
        for (const [index, { resolve }] of questions.entries()) resolve(Number(waits[index]));
      },
      (error: Error) => {
        roomy.learn(keyId, false);
        for (const callId of returned) returns.add(keyId, callId);
        for (const { reject } of questions) reject(error);
      },
    );
  }
  function askAll(): void {
    clearTimeout(timer);
    timer = undefined;
    const batch = uncounted;
    uncounted = [];
    for (const question of batch) asking.add(question);
  }
  return {
    ask(keyId, limits, { id, holdMs, hasBegun }) {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      const question = { keyId, limits, callId: id, holdMs, hasBegun, isSent: false, resolve, reject };
      uncounted.push(question);
      if (hasBegun) timer ??= setTimeout(askAll, countWithinMs);
      else askAll();
      return { question, waitMs: promise };
    },
    async flush() {
      askAll();
      await nextTurn();
    },
  };
}
