/** A provider that says longer than this is asked again after it all the same. */
const longestBlockMs = 24 * 60 * 60 * 1000;
/** Less than this is no wait: a clock or a network may eat it up. */
const shortestBlockMs = 50;

/** The limits whose reset counts; the trios of other service tiers say nothing about this call. */
const limits = ["requests", "tokens", "input-tokens", "output-tokens"] as const;

export interface BlockGiven {
  readonly now: number;
  /** The caller's own, for an answer without a hint. */
  readonly backoffMs: number;
  /** What the answer's body says, in milliseconds since the epoch. */
  readonly retryAt?: number | undefined;
}

/**
 * Until when a target that answered 429 is blocked (milliseconds since the epoch): what its body says, `retry-after-ms`,
 * `retry-after` in seconds or as a date, the reset of the limits that are used up, else the back-off.
 */
export function blockedUntil(headers: Readonly<Record<string, string>>, given: BlockGiven): number {
  const { now, backoffMs, retryAt } = given;
  const hinted = retryAt ?? readRetryAfter(headers, now) ?? readReset(headers, now);
  if (hinted === undefined) return now + backoffMs;
  return now + Math.min(longestBlockMs, Math.max(shortestBlockMs, hinted - now));
}

/** Zero or nonsense is no hint: it would call the target again at once, and for ever. */
function readRetryAfter(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const ms = positive(headers["retry-after-ms"]);
  if (ms !== undefined) return now + ms;
  const value = headers["retry-after"];
  const seconds = positive(value);
  if (seconds !== undefined) return now + seconds * 1000;
  // A bare number is never a date, although Date.parse takes it for a year.
  return value === undefined || /^[\d.\s-]*$/.test(value) ? undefined : future(value, now);
}

/**
 * The latest reset among the limits with nothing left. Where each has something left the call was too large for one of
 * them, we cannot know which: then the latest of all, since too early costs another refusal.
 */
function readReset(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  let usedUp: number | undefined;
  let any: number | undefined;
  for (const limit of limits) {
    const at = future(headers[`anthropic-ratelimit-${limit}-reset`], now);
    if (at === undefined) continue;
    any = Math.max(any ?? 0, at);
    if (Number(headers[`anthropic-ratelimit-${limit}-remaining`] ?? "1") === 0) usedUp = Math.max(usedUp ?? 0, at);
  }
  return usedUp ?? any;
}

function positive(value: string | undefined): number | undefined {
  if (value === undefined || value.trim() === "") return undefined;
  const number = Number(value);
  return Number.isFinite(number) && number > 0 ? number : undefined;
}

function future(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const at = Date.parse(value);
  return Number.isNaN(at) || at <= now ? undefined : at;
}
