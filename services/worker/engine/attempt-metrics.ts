import type { Metrics } from "#shared/telemetry/metrics.ts";
import type { Usage } from "#shared/messages/usage.ts";
import type { Target } from "#shared/routing/catalogue.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import { targetKey } from "./target-key.ts";

/** Counts attempts and tokens; label sets are bound once per target, none is made per call. */
export interface AttemptMetrics {
  attempt(target: Target, end: AttemptEnd): void;
  tokens(target: Target, usage: Usage): void;
}

interface Count {
  inc(by?: number): void;
}

interface Bound {
  readonly seconds: { observe(seconds: number): void };
  readonly byReason: Map<string, Count>;
  readonly input: Count;
  readonly output: Count;
  readonly cacheRead: Count;
  readonly cacheCreation: Count;
}

export function createAttemptMetrics(metrics: Metrics): AttemptMetrics {
  const byTarget = new Map<string, Bound>();
  const boundFor = (target: Target): Bound => {
    const key = targetKey(target);
    let bound = byTarget.get(key);
    if (!bound) byTarget.set(key, (bound = bind(target, metrics)));
    return bound;
  };
  return {
    attempt: (target, end) => {
      const bound = boundFor(target);
      let count = bound.byReason.get(end.reason);
      if (!count) {
        count = metrics.attemptsTotal.labels(target.provider, target.model, end.reason);
        bound.byReason.set(end.reason, count);
      }
      count.inc();
      bound.seconds.observe((end.endedAt - end.startedAt) / 1000);
    },
    tokens: (target, usage) => {
      const bound = boundFor(target);
      bound.input.inc(usage.input_tokens);
      bound.output.inc(usage.output_tokens);
      bound.cacheRead.inc(usage.cache_read_input_tokens);
      bound.cacheCreation.inc(usage.cache_creation_input_tokens);
    },
  };
}

function bind({ provider, model }: Target, metrics: Metrics): Bound {
  return {
    seconds: metrics.attemptSeconds.labels(provider, model),
    byReason: new Map(),
    input: metrics.tokensTotal.labels(provider, model, "input"),
    output: metrics.tokensTotal.labels(provider, model, "output"),
    cacheRead: metrics.tokensTotal.labels(provider, model, "cache_read"),
    cacheCreation: metrics.tokensTotal.labels(provider, model, "cache_creation"),
  };
}
