import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { LoadPlan, LoadResult } from "./load.ts";
import { cpuSeconds, residentMb } from "./processes.ts";
import type { Scenario } from "./scenarios.ts";
import type { Target } from "./targets.ts";

export interface Measurement extends LoadResult {
  readonly target: string;
  /** CPU-seconds of all processes of the target over the measured time; 0 for `direct`. */
  readonly cpuSeconds: number;
  readonly callsPerCpuSecond: number;
  readonly cpuShare: number;
  readonly residentMb: number;
}

export interface MeasureOptions {
  readonly upstreamUrl: string;
  readonly loadCpu?: string;
  readonly warmupMs: number;
  readonly durationMs: number;
}

interface LoadRun {
  readonly begun: Promise<void>;
  readonly ended: Promise<void>;
  readonly result: Promise<LoadResult>;
}

/** The load process says when its measured time begins and ends, so that CPU is read at those edges. */
function startLoad(plan: LoadPlan, cpu: string | undefined): LoadRun {
  const node = [process.execPath, "bench/load.ts", JSON.stringify(plan)];
  const argv = cpu ? ["taskset", "-c", cpu, ...node] : node;
  const child = spawn(argv[0] ?? "", argv.slice(1), { stdio: ["ignore", "pipe", "inherit"] });
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const result = Promise.withResolvers<LoadResult>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const said = JSON.parse(line) as "begin" | "end" | LoadResult;
    if (said === "begin") begun.resolve();
    else if (said === "end") ended.resolve();
    else result.resolve(said);
  });
  child.once("exit", (code) => {
    const error = new Error(`the load generator ended early (${code})`);
    for (const each of [begun, ended, result]) each.reject(error);
  });
  return { begun: begun.promise, ended: ended.promise, result: result.promise };
}

/** Runs a scenario at a target once. CPU is read at the edges of the measured time. */
export async function measure(scenario: Scenario, target: Target, options: MeasureOptions): Promise<Measurement> {
  await fetch(`${options.upstreamUrl}/__pace`, { method: "POST", body: JSON.stringify(scenario.pace) });
  const plan: LoadPlan = {
    ...scenario.load,
    url: target.url,
    key: target.key,
    ...(target.headers ? { headers: target.headers } : {}),
    warmupMs: options.warmupMs,
    durationMs: options.durationMs,
  };
  const pids = target.processes.map((each) => each.pid);
  const run = startLoad(plan, options.loadCpu);
  await run.begun;
  const before = cpuSeconds(pids);
  const startedAt = performance.now();
  await run.ended;
  const used = cpuSeconds(pids) - before;
  const seconds = (performance.now() - startedAt) / 1000;
  const memory = pids.reduce((sum, pid) => sum + residentMb(pid), 0);
  const done = await run.result;
  const share = used / seconds;
  return {
    ...done,
    target: target.name,
    cpuSeconds: used,
    callsPerCpuSecond: share > 0 ? done.calls / done.seconds / share : NaN,
    cpuShare: share,
    residentMb: memory,
  };
}
