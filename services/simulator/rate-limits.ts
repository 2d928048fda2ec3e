/** What an account has left in its minute, and whether one more request fits. */
export interface Allowance {
  readonly allowed: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** When the bucket is full again, in milliseconds since the epoch. */
  readonly resetAt: number;
  /** Milliseconds until one request fits. */
  readonly retryAfterMs: number;
}

export interface RateLimits {
  take(account: string): Allowance;
}

const shownLimit = 4000;

/** A token bucket of requests for each account. @param requestsPerMinute 0 refuses nobody */
export function createRateLimits(requestsPerMinute: number): RateLimits {
  const limit = requestsPerMinute || shownLimit;
  const perMs = limit / 60_000;
  const buckets = new Map<string, { level: number; at: number }>();

  return {
    take(account) {
      const now = Date.now();
      const bucket = buckets.get(account) ?? { level: limit, at: now };
      buckets.set(account, bucket);
      bucket.level = Math.min(limit, bucket.level + (now - bucket.at) * perMs);
      bucket.at = now;
      const allowed = bucket.level >= 1 || requestsPerMinute === 0;
      if (allowed) bucket.level = Math.max(0, bucket.level - 1);
      return {
        allowed,
        limit,
        remaining: Math.floor(bucket.level),
        resetAt: now + (limit - bucket.level) / perMs,
        retryAfterMs: allowed ? 0 : (1 - bucket.level) / perMs,
      };
    },
  };
}
