import { GatewayError } from "#shared/messages/error.ts";
import { fullJitter } from "#shared/runtime/backoff.ts";
import { withDeadline } from "#shared/runtime/deadline.ts";
import type { Credential, CredentialSource } from "../adapters/adapter.ts";

export interface FetchedCredential {
  readonly credential: Credential;
  /** Milliseconds since the epoch; absent: it does not expire. */
  readonly expiresAt?: number;
}

/** Gets a credential from where it comes from. What it throws is not repeated to anybody, unless it is a `GatewayError`. */
export type FetchCredential = (signal: AbortSignal) => Promise<FetchedCredential>;

export interface RefreshOptions {
  readonly now?: () => number;
  readonly fetchMs?: number;
}

/** A fetch that takes longer has failed. */
const longestFetchMs = 10_000;
/** With less left than this a fresh one is fetched beside the calls, which go on with the old one. */
const refreshAheadMs = 5 * 60_000;
/** With less left than this it might expire on the way. */
const leastLeftMs = 20_000;
/** After one was refused its successor is kept so long, whatever the vendor says. */
const leastKeptMs = 10_000;
const pause = { baseMs: 1000, maxMs: 60_000 };
const leastPauseMs = 250;

/**
 * Keeps a credential fresh: one fetch at a time for all who ask, begun by use and before the old one expires. After a
 * failure nobody asks again for a while, which grows with every further one.
 */
export function createRefreshingCredentials(fetch: FetchCredential, options: RefreshOptions = {}): CredentialSource {
  return new RefreshingCredentials(fetch, options);
}

/**
 * States: none → fetching → held → (near its end, or doubted) held, fetching → held; refused → none. A failed fetch
 * leaves what was held.
 */
class RefreshingCredentials implements CredentialSource {
  readonly #fetch: FetchCredential;
  readonly #now: () => number;
  readonly #fetchMs: number;
  readonly #closing = new AbortController();
  #held: FetchedCredential | undefined;
  #fetching: Promise<Credential> | undefined;
  #failures = 0;
  #failure: GatewayError | undefined;
  #pausedUntil = 0;
  #keptUntil = 0;

  constructor(fetch: FetchCredential, { now = Date.now, fetchMs = longestFetchMs }: RefreshOptions) {
    this.#fetch = fetch;
    this.#now = now;
    this.#fetchMs = fetchMs;
  }

  get current(): Credential | undefined {
    const held = this.#held;
    if (held === undefined) return undefined;
    const leftMs = (held.expiresAt ?? Number.POSITIVE_INFINITY) - this.#now();
    // Who uses it needs it again: its failure is theirs to hear of, once nothing is left.
    if (leftMs < refreshAheadMs && !this.#isPaused) this.#refresh().catch(() => undefined);
    return leftMs < leastLeftMs ? undefined : held.credential;
  }

  async get(signal: AbortSignal): Promise<Credential> {
    const current = this.current;
    if (current !== undefined) return current;
    if (this.#failure !== undefined && this.#isPaused) throw this.#failure;
    return waitFor(this.#refresh(), signal);
  }

  forget(refused: Credential): boolean {
    if (this.#held?.credential !== refused) return true;
    if (!this.#mayReplace()) return false;
    this.#held = undefined;
    return true;
  }

  renew(doubted: Credential): void {
    if (this.#held?.credential === doubted && this.#mayReplace()) this.#refresh().catch(() => undefined);
  }

  close(): void {
    this.#closing.abort(new GatewayError("cancelled", "The credential source is closed."));
  }

  /** Asked for by its use: an account that is refused for good must not become a storm upon who gives credentials. */
  #mayReplace(): boolean {
    const now = this.#now();
    if (now < this.#keptUntil) return false;
    this.#keptUntil = now + leastKeptMs;
    return true;
  }

  get #isPaused(): boolean {
    return this.#now() < this.#pausedUntil;
  }

  #refresh(): Promise<Credential> {
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetchOnce(): Promise<Credential> {
    const limit = withDeadline(this.#closing.signal, Date.now() + this.#fetchMs);
    try {
      const fetched = await waitFor(this.#fetch(limit.signal), limit.signal);
      this.#held = fetched;
      this.#failures = 0;
      this.#failure = undefined;
      this.#pausedUntil = 0;
      return fetched.credential;
    } catch (reason) {
      this.#failures += 1;
      this.#pausedUntil = this.#now() + Math.max(leastPauseMs, fullJitter(this.#failures, pause));
      this.#failure = credentialError(reason);
      throw this.#failure;
    } finally {
      limit.clear();
    }
  }
}

/** Ours to begin with, or made ours: a stranger's message may quote what must not be told. */
function credentialError(reason: unknown): GatewayError {
  if (reason instanceof GatewayError && reason.code === "upstream_refused") return reason;
  const cause = reason instanceof GatewayError ? reason.code : describe(reason);
  return new GatewayError("upstream_refused", `The credential could not be fetched: ${cause}`);
}

/** A code such as ECONNREFUSED, or the class of the error. */
function describe(reason: unknown): string {
  if (!(reason instanceof Error)) return "unknown";
  const code: unknown = "code" in reason ? reason.code : undefined;
  return typeof code === "string" ? code : reason.name;
}

/** The promise's end, or the signal's reason if that comes first; the promise goes on for others. */
function waitFor<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      promise.catch(() => undefined);
      return reject(signal.reason as Error);
    }
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
