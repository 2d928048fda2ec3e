import { metrics } from "#shared/telemetry/metrics.ts";

/** The request bytes that this process may hold at a time, over all calls. */
export interface BodyBudget {
  /** False when they do not fit; then nothing was taken. */
  take(bytes: number): boolean;
  give(bytes: number): void;
  readonly taken: number;
}

export function createBodyBudget(maxBytes: number): BodyBudget {
  let taken = 0;
  return {
    take(bytes) {
      if (taken + bytes > maxBytes) return false;
      taken += bytes;
      metrics.bodyBytesInFlight.set(taken);
      return true;
    },
    give(bytes) {
      taken -= bytes;
      metrics.bodyBytesInFlight.set(taken);
    },
    get taken() {
      return taken;
    },
  };
}
