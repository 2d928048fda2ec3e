import type { LoadPlan } from "./load.ts";

export interface Scenario {
  readonly title: string;
  readonly pace: { readonly firstByteMs: number; readonly gapMs: number; readonly deltas: number };
  readonly load: Pick<LoadPlan, "path" | "stream" | "deltas" | "connections" | "promptBytes"> &
    Partial<Pick<LoadPlan, "rate" | "rampMs" | "deadlineMs">>;
  /** Milliseconds of a full and of a quick run. */
  readonly durationMs: readonly [full: number, quick: number];
}

const whole = { path: "/v1/messages", stream: false, deltas: 0, promptBytes: 600 } as const;
const streamed = { path: "/v1/messages", stream: true, deltas: 50, promptBytes: 600 } as const;
const atOnce = { firstByteMs: 0, gapMs: 0, deltas: 50 } as const;

export const scenarios = {
  a: {
    title: "whole answers, one at a time",
    pace: atOnce,
    load: { ...whole, connections: 1 },
    durationMs: [2500, 400],
  },
  "a-stream": {
    title: "streams, one at a time",
    pace: atOnce,
    load: { ...streamed, connections: 1 },
    durationMs: [2500, 400],
  },
  b: {
    title: "whole answers, 64 at once",
    pace: atOnce,
    load: { ...whole, connections: 64 },
    durationMs: [3000, 600],
  },
  c: {
    title: "streams of 50 deltas, 32 at once",
    pace: atOnce,
    load: { ...streamed, connections: 32 },
    durationMs: [3000, 600],
  },
  d500: {
    title: "500 paced streams",
    pace: { firstByteMs: 200, gapMs: 20, deltas: 50 },
    load: { ...streamed, connections: 500, rampMs: 1200 },
    durationMs: [3600, 1000],
  },
  e: {
    title: "1 MB bodies, 8 at once",
    pace: atOnce,
    load: { ...whole, connections: 8, promptBytes: 1 << 20 },
    durationMs: [2600, 600],
  },
  f: {
    title: "token counts, 64 at once",
    pace: atOnce,
    load: { ...whole, path: "/v1/messages/count_tokens", connections: 64 },
    durationMs: [2400, 500],
  },
  g: {
    title: "200 calls a second, 300 ms upstream",
    pace: { firstByteMs: 300, gapMs: 0, deltas: 50 },
    load: { ...whole, connections: 1000, rate: 200 },
    durationMs: [4000, 800],
  },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;
export const scenarioNames = Object.keys(scenarios) as ScenarioName[];
