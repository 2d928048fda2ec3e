export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait after the `attempt`th failure in a row (1 for the first): anything from 0 to the base doubled with
 * every failure, at most `maxMs`. Full jitter spreads callers that failed together better than a jittered half does.
 */
export function fullJitter(attempt: number, options: BackoffOptions, random: () => number = Math.random): number {
  const ceiling = Math.min(options.maxMs, options.baseMs * 2 ** Math.max(0, attempt - 1));
  return Math.floor(random() * ceiling);
}
