import { waitOut } from "#shared/runtime/wait-out.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript, type RedisScript, type ScriptArgument } from "#shared/runtime/load-script.ts";
import { createLeaseReturns, type LeaseReturns } from "./lease-returns.ts";
import { createLocalLimits, type Limits } from "./local-limits.ts";
import { createStoreKeys, type StoreKeys } from "./store-keys.ts";
import { createTurnBatch } from "#shared/runtime/turn-batch.ts";

type Admission = { readonly ok: true } | { readonly ok: false; readonly retryAfterS: number };

/** What a key may do per minute and at once, over all gateways; on this one alone while Redis is away or slow. */
export interface KeyLimits {
  /**
   * Never rejects, never waits longer than 50 ms for Redis unless the call goes ahead. An admitted call holds its place until `release`; if this process
   * dies, for `holdMs` at most or, if it has lasted longer than that, for two minutes.
   */
  admit(keyId: string, limits: Limits | undefined, call: LimitedCall): Promise<Admission>;
  /** Whether the key was refused nothing lately, by this gateway: then a call of it need not wait for its admission. */
  isCalm(keyId: string): boolean;
  /** Sends the questions of this turn now. */
  flush(): void;
  /** Harmless for a call that holds no place. Other gateways see it a moment later. */
  release(keyId: string, callId: string): void;
  /** Gives back what was released. */
  close(): Promise<void>;
}

const capMs = 50;
/** A script holds up everybody else in Redis. */
const mostPerScript = 128;
const usualRenewEveryMs = 30_000;
/** Leases are renewed so many rounds before they end, and for twice as many. */
const roundsAhead = 2;
/** A call that goes ahead and is refused costs a job that is dropped, so a key at its limits is asked about first. */
const calmAfterMs = 10_000;
/** Identities of an OIDC issuer have no end. */
const mostRefused = 10_000;
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
  const extendLeases = loadScript(redis.client, new URL("extend-leases.lua", import.meta.url));
  const admitCalls = loadScript(redis.client, new URL("admit-calls.lua", import.meta.url));
  const local = createLocalLimits();
  const returns = createLeaseReturns(redis, keys);
  const asking = createTurnBatch<Question>((batch) => askTogether(batch, { admitCalls, keys, returns }), mostPerScript);
  /** Calls of ours that may hold a lease in Redis, by call id: releasing any other costs nothing. */
  const leased = new Map<string, Lease>();
  /** Until when a key counts as one that is refused calls. */
  const refused = new Map<string, number>();
  setInterval(renewLeases, renewEveryMs).unref();

  function ask(keyId: string, limits: Limits, call: LimitedCall): Promise<number> {
    if (limits.concurrent !== undefined) leased.set(call.id, { keyId, endsAt: Date.now() + call.holdMs });
    return new Promise((resolve, reject) => asking.add({ keyId, limits, call, resolve, reject }));
  }
  function renewLeases(): void {
    const now = Date.now();
    const due = [...leased].filter(([, { endsAt }]) => endsAt <= now + roundsAhead * renewEveryMs);
    if (due.length === 0 || !redis.isReady) return;
    const holdMs = 2 * roundsAhead * renewEveryMs;
    for (const [keyId, calls] of Map.groupBy(due, ([, lease]) => lease.keyId)) {
      for (const [, lease] of calls) lease.endsAt = now + holdMs;
      const ids = calls.map(([callId]) => callId);
      extendLeases([keys.leases(keyId)], [holdMs, ...ids]).catch(() => undefined);
    }
  }
  function noteRefused(keyId: string, callId: string): void {
    leased.delete(callId);
    if (refused.size >= mostRefused) refused.clear();
    refused.set(keyId, Date.now() + calmAfterMs);
  }
  function giveBack(keyId: string, callId: string): void {
    leased.delete(callId);
    returns.add(keyId, callId);
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
        if (limits.concurrent !== undefined && !(here?.ok && leased.has(call.id))) giveBack(keyId, call.id);
      };
      // The job of a call that goes ahead is on the same connection, and waits as long.
      const stopWaiting = call.goesAhead ? (): void => undefined : waitOut(capMs, decideHere);
      ask(keyId, limits, call).then(
        (waitMs) => {
          stopWaiting();
          if (waitMs > 0) noteRefused(keyId, call.id);
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
      if (limits?.rpm === undefined && limits?.concurrent === undefined) return admittedAtOnce;
      if (redis.isReady) return askWithin(keyId, limits, call);
      return Promise.resolve(toAdmission(local.admit(keyId, limits, call)));
    },
    release(keyId, callId) {
      local.release(keyId, callId);
      if (leased.has(callId)) giveBack(keyId, callId);
    },
    isCalm: (keyId) => redis.isReady && (refused.get(keyId) ?? 0) < Date.now(),
    flush: () => asking.flush(),
    close: () => returns.flush(),
  };
}

interface LimitedCall {
  readonly id: string;
  readonly holdMs: number;
  /** A job of the call may be written before the answer is known: a refusal marks the call as cancelled. */
  readonly goesAhead?: boolean;
}

interface Lease {
  readonly keyId: string;
  endsAt: number;
}

/** A call that waits to be admitted; resolves with the milliseconds after which to try again, 0 when it is. */
interface Question {
  readonly keyId: string;
  readonly limits: Limits;
  readonly call: LimitedCall;
  resolve(waitMs: number): void;
  reject(error: Error): void;
}

interface Asking {
  readonly admitCalls: RedisScript;
  readonly keys: StoreKeys;
  readonly returns: LeaseReturns;
}

/** One script per key and turn: alone each call costs Redis four times as much. */
function askTogether(batch: readonly Question[], { admitCalls, keys, returns }: Asking): void {
  for (const [keyId, questions] of Map.groupBy(batch, (question) => question.keyId)) {
    const { limits } = questions[0] as Question;
    const returned = returns.take(keyId);
    const args: ScriptArgument[] = [limits.rpm ?? 0, limits.concurrent ?? 0, returned.length, ...returned];
    for (const { call } of questions)
      args.push(call.id, Math.ceil(call.holdMs), call.goesAhead ? keys.cancelMark(call.id) : "");
    admitCalls([keys.rate(keyId), keys.leases(keyId)], args).then(
      (waits) => questions.forEach(({ resolve }, index) => resolve(Number((waits as readonly unknown[])[index]))),
      (error: Error) => questions.forEach(({ reject }) => reject(error)),
    );
  }
}

function toAdmission(waitMs: number): Admission {
  return waitMs <= 0 ? admitted : { ok: false, retryAfterS: Math.max(1, Math.ceil(waitMs / 1000)) };
}
