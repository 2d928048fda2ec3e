import { waitOut } from "#shared/runtime/wait-out.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "#shared/runtime/load-script.ts";
import { createLeaseReturns } from "./lease-returns.ts";
import { createLimitQuestions, type AskedCall, type LimitQuestion } from "./limit-questions.ts";
import { createLocalLimits, type Limits } from "./local-limits.ts";
import { createRoomyKeys } from "./roomy-keys.ts";
import { createStoreKeys, type StoreKeys } from "./store-keys.ts";

type Admission = { readonly ok: true } | { readonly ok: false; readonly retryAfterS: number };

/** What a key may do per minute and at once, over all gateways; on this one alone while Redis is away or slow. */
export interface KeyLimits {
  /**
   * Never rejects, never waits longer than 50 ms for Redis. An admitted call holds its place until `release`; if this process
   * dies, for `holdMs` at most or, if it has lasted longer than that, for two minutes.
   */
  admit(keyId: string, limits: Limits | undefined, call: LimitedCall): Promise<Admission>;
  /**
   * True when the key had half of its limits left when Redis was last heard: the call is admitted as by `admit`, and counted
   * within 20 ms. So gateways that race for a limit may overstep it, each by a twentieth; they wait the longer for it.
   */
  admitAtOnce(keyId: string, limits: Limits | undefined, call: LimitedCall): boolean;
  /** Harmless for a call that holds no place. Other gateways see it a moment later. */
  release(keyId: string, callId: string): void;
  /** Gives back what was released. */
  close(): Promise<void>;
}

const capMs = 50;
const usualRenewEveryMs = 30_000;
/** Leases are renewed so many rounds before they end, and for twice as many. */
const roundsAhead = 2;
const admitted: Admission = { ok: true };
const admittedAtOnce = Promise.resolve(admitted);

export function createKeyLimits(options: {
  readonly redis: RedisConnection;
  readonly prefix: string;
  /** How often leases about to end are renewed; 30 s. */
  readonly renewEveryMs?: number;
}): KeyLimits {
  const { redis, renewEveryMs = usualRenewEveryMs } = options;
  const keys = createStoreKeys(options.prefix);
  const local = createLocalLimits();
  const returns = createLeaseReturns(redis, keys);
  const roomy = createRoomyKeys();
  const questions = createLimitQuestions({ redis, keys, returns, roomy });
  const leased = keepLeases(redis, keys, renewEveryMs);
  function ask(keyId: string, limits: Limits, call: AskedCall): Promise<number> {
    const { question, waitMs } = questions.ask(keyId, limits, call);
    if (limits.concurrent !== undefined) leased.set(call.id, { question, endsAt: Date.now() + call.holdMs });
    return waitMs;
  }
  function giveBack({ question }: Lease): void {
    leased.delete(question.callId);
    if (question.isSent) returns.add(question.keyId, question.callId);
    else question.holdMs = 0;
  }
  function askWithin(keyId: string, limits: Limits, call: LimitedCall): Promise<Admission> {
    return new Promise((resolve) => {
      let here: Admission | undefined;
      const decideHere = (): void => {
        stopWaiting();
        here ??= toAdmission(local.admit(keyId, limits, call));
        resolve(here);
      };
      // The call was refused here, or has even ended: a lease that Redis gave it, or is still to give, is nobody's.
      const giveBackUnused = (): void => {
        if (limits.concurrent !== undefined && !(here?.ok && leased.has(call.id))) {
          leased.delete(call.id);
          returns.add(keyId, call.id);
        }
      };
      const stopWaiting = waitOut(capMs, decideHere);
      ask(keyId, limits, { ...call, hasBegun: false }).then(
        (waitMs) => {
          stopWaiting();
          if (waitMs > 0) leased.delete(call.id);
          else if (here) giveBackUnused();
          resolve(toAdmission(waitMs));
        },
        () => {
          decideHere();
          giveBackUnused();
        },
      );
    });
  }
  return {
    admit(keyId, limits, call) {
      if (!isLimited(limits)) return admittedAtOnce;
      if (redis.isReady) return askWithin(keyId, limits, call);
      return Promise.resolve(toAdmission(local.admit(keyId, limits, call)));
    },
    admitAtOnce(keyId, limits, call) {
      if (!isLimited(limits)) return true;
      const counted = redis.isReady && roomy.take(keyId, limits);
      if (!counted) return false;
      ask(keyId, limits, { ...call, hasBegun: true }).then(counted, counted);
      return true;
    },
    release(keyId, callId) {
      local.release(keyId, callId);
      const lease = leased.get(callId);
      if (lease) giveBack(lease);
    },
    async close() {
      await questions.flush();
      await returns.flush();
    },
  };
}

/** Calls of ours that may hold a lease in Redis, by call id: releasing any other costs nothing. They are renewed. */
function keepLeases(redis: RedisConnection, keys: StoreKeys, everyMs: number): Map<string, Lease> {
  const leased = new Map<string, Lease>();
  const extendLeases = loadScript(redis.client, new URL("extend-leases.lua", import.meta.url));
  function renew(): void {
    const now = Date.now();
    const due = [...leased].filter(([, { endsAt }]) => endsAt <= now + roundsAhead * everyMs);
    if (due.length === 0 || !redis.isReady) return;
    const holdMs = 2 * roundsAhead * everyMs;
    for (const [keyId, calls] of Map.groupBy(due, ([, lease]) => lease.question.keyId)) {
      for (const [, lease] of calls) lease.endsAt = now + holdMs;
      const ids = calls.map(([callId]) => callId);
      extendLeases([keys.leases(keyId)], [holdMs, ...ids]).catch(() => undefined);
    }
  }
  setInterval(renew, everyMs).unref();
  return leased;
}

interface LimitedCall {
  readonly id: string;
  readonly holdMs: number;
}

interface Lease {
  readonly question: LimitQuestion;
  endsAt: number;
}

function isLimited(limits: Limits | undefined): limits is Limits {
  return limits?.rpm !== undefined || limits?.concurrent !== undefined;
}

function toAdmission(waitMs: number): Admission {
  return waitMs <= 0 ? admitted : { ok: false, retryAfterS: Math.max(1, Math.ceil(waitMs / 1000)) };
}
