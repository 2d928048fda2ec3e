/** An hour of mixed load at a rate that any machine carries, and how the memory of each process grows meanwhile. */
import { setTimeout as sleep } from "node:timers/promises";
import { measure, type Measurement } from "./measure.ts";
import { watchMemory } from "./memory-watch.ts";
import { scenarios, type Scenario } from "./scenarios.ts";
import { startSluice, type StackOptions } from "./targets.ts";

export type HourOptions = Pick<StackOptions, "workDir" | "upstreamUrl"> & {
  readonly minutes: number;
  say(text: string): void;
};

const { pace } = scenarios.d500;
const at = (scenario: Scenario, rate: number): Scenario => ({ ...scenario, pace, load: { ...scenario.load, rate } });
const mix: readonly Scenario[] = [
  { ...at(scenarios.b, 4), title: "whole answers, 4 a second" },
  { ...at(scenarios.c, 4), title: "streams of 50 deltas in a second, 4 a second" },
  { ...at(scenarios.f, 2), title: "token counts, 2 a second" },
  { ...at(scenarios.e, 0.5), title: "1 MB bodies, one in two seconds" },
];
const sayEveryMs = 60_000;

/** Not pinned: nothing of it is a question of speed. */
export async function runHour({ minutes, say, ...options }: HourOptions): Promise<void> {
  const stack = await startSluice({ ...options, name: "hour", port: 19_940, mode: "always" });
  const memory = watchMemory(stack.processes);
  const done = new AbortController();
  const saying = sayAtTimes(minutes, say, done.signal);
  try {
    const timing = { upstreamUrl: options.upstreamUrl, warmupMs: 1000, durationMs: minutes * 60_000 };
    const loads = await Promise.all(mix.map((scenario) => measure(scenario, stack, timing)));
    print(mix.map((scenario, index) => [scenario.title, loads[index]] as const));
    const growths = memory
      .stop(0.8)
      .map(
        ({ name, mbPerMinute, seconds, peakMb }) =>
          `| ${name} | ${mbPerMinute.toFixed(2)} | ${(seconds / 60).toFixed(0)} | ${peakMb.toFixed(0)} |`,
      );
    const head = ["| | MB a minute | over the last minutes | at most MB |", "| --- | --- | --- | --- |"];
    process.stdout.write(["", ...head, ...growths, ""].join("\n"));
  } finally {
    done.abort();
    await saying;
    await stack.close();
  }
}

function print(loads: readonly (readonly [title: string, load: Measurement | undefined])[]): void {
  const rows = loads.map(
    ([title, load]) => `| ${title} | ${load?.calls} | ${load?.errors} | ${load?.latency.p99.toFixed(0)} |`,
  );
  process.stdout.write(["", "| | answered | errors | p99 ms |", "| --- | --- | --- | --- |", ...rows, ""].join("\n"));
}

async function sayAtTimes(minutes: number, say: (text: string) => void, signal: AbortSignal): Promise<void> {
  for (let minute = 1; minute < minutes && !signal.aborted; minute += 1) {
    await sleep(sayEveryMs, undefined, { signal }).catch(() => {});
    if (!signal.aborted && minute % 5 === 0) say(`${minute} of ${minutes} minutes`);
  }
}
