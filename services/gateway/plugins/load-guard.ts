import { monitorEventLoopDelay } from "node:perf_hooks";
import { GatewayError } from "#shared/messages/error.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { createCallLimit } from "./call-limit.ts";

/** Refuses new calls while this process has more than it can carry. Calls in hand are never touched. */
export interface LoadGuard {
  /** Counts a call in, or throws `overloaded`. */
  enter(): void;
  leave(): void;
  /** What a call waited for us before a provider was asked, in milliseconds; waits for capacity are not of it. */
  observe(waitedMs: number): void;
  readonly openCalls: number;
  close(): void;
}

export interface LoadGuardOptions {
  /** Calls that may be open at a time. */
  readonly maxOpenCalls: number;
  /** The 99th percentile of the event loop's delay, over a second, beyond which calls are shed. */
  readonly maxLagMs?: number | undefined;
  /** A second if absent. */
  readonly sampleEveryMs?: number;
}

/** Half of what a hurried caller waits; what is answered after a shed call's own patience helps nobody. */
const targetWaitMs = 500;
const adaptEveryMs = 250;
const defaultMaxLagMs = 500;
const usualSampleEveryMs = 1000;
/** Each look wakes the process; a lag worth shedding for is several of them long. */
const resolutionMs = 100;
/** One late second is a large collection of garbage or a frozen machine; two are too much work. */
const shedAfterSamples = 2;

export function createLoadGuard(options: LoadGuardOptions): LoadGuard {
  const { sampleEveryMs = usualSampleEveryMs } = options;
  const maxLagMs = options.maxLagMs ?? defaultMaxLagMs;
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  let openCalls = 0;
  let lateSamples = 0;
  let timer: NodeJS.Timeout | undefined;
  const sample = (): void => {
    const lagMs = delay.percentile(99) / 1e6 - resolutionMs;
    lateSamples = lagMs > maxLagMs ? lateSamples + 1 : 0;
    delay.reset();
  };
  /** With the first call: a start takes its seconds, which are no reason to refuse what comes after it. */
  const startSampling = (): NodeJS.Timeout => {
    delay.enable();
    return setInterval(sample, sampleEveryMs).unref();
  };
  const limit = createCallLimit({ most: options.maxOpenCalls, targetMs: targetWaitMs });
  const adapting = setInterval(() => limit.adapt(openCalls), adaptEveryMs);
  adapting.unref();

  return {
    enter() {
      timer ??= startSampling();
      if (openCalls >= limit.current) throw shed("waiting");
      if (lateSamples >= shedAfterSamples) throw shed("event_loop");
      openCalls += 1;
    },
    leave() {
      openCalls -= 1;
    },
    observe: (waitedMs) => limit.observe(waitedMs),
    get openCalls() {
      return openCalls;
    },
    close() {
      clearInterval(timer);
      clearInterval(adapting);
      delay.disable();
    },
  };
}

function shed(reason: "waiting" | "event_loop"): GatewayError {
  metrics.shedTotal.inc({ reason });
  return new GatewayError("overloaded", "The gateway is overloaded.", { retryAfterS: 1 });
}
