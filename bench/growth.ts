/**
 * How the cost of a call grows: with workers and dispatchers, with what lies in the queue, with keys and models, and what
 * memory the processes take at rest and with open streams.
 */
import { Redis } from "ioredis";
import { setTimeout as sleep } from "node:timers/promises";
import { measure, type MeasureOptions } from "./measure.ts";
import { cpuSeconds, residentMb } from "./processes.ts";
import { scenarios } from "./scenarios.ts";
import { startBare, startSluice, type StackOptions, type Target } from "./targets.ts";

export type GrowthOptions = Pick<StackOptions, "workDir" | "upstreamUrl" | "cpu"> & { readonly loadCpu?: string };

interface Row {
  readonly what: string;
  readonly figures: readonly string[];
}

function print(title: string, columns: readonly string[], rows: readonly Row[]): void {
  const lines = rows.map(({ what, figures }) => `| ${what} | ${figures.join(" | ")} |`);
  const rule = columns.map(() => "---");
  process.stdout.write(
    [`\n### ${title}\n`, `| | ${columns.join(" | ")} |`, `| --- | ${rule.join(" | ")} |`, ...lines, ""].join("\n"),
  );
}

function timing(options: GrowthOptions): MeasureOptions {
  return {
    upstreamUrl: options.upstreamUrl,
    ...(options.loadCpu ? { loadCpu: options.loadCpu } : {}),
    warmupMs: 1500,
    durationMs: 3000,
  };
}

/** Scenario b, three times beside bare; the median of the ratios. */
async function ratioToBare(
  target: Target,
  bare: Target,
  options: GrowthOptions,
): Promise<{ ratio: number; perCpuSecond: number; callsPerSecond: number; errors: number }> {
  const ratios: { ratio: number; perCpuSecond: number; callsPerSecond: number; errors: number }[] = [];
  for (let repetition = 0; repetition < 3; repetition += 1) {
    const yardstick = await measure(scenarios.b, bare, timing(options));
    const at = await measure(scenarios.b, target, timing(options));
    const { callsPerCpuSecond: perCpuSecond, errors } = at;
    ratios.push({
      ratio: perCpuSecond / yardstick.callsPerCpuSecond,
      perCpuSecond,
      callsPerSecond: at.calls / at.seconds,
      errors,
    });
  }
  return (
    ratios.toSorted((a, b) => a.ratio - b.ratio)[1] ?? { ratio: NaN, perCpuSecond: NaN, callsPerSecond: NaN, errors: 0 }
  );
}

function figures({ ratio, perCpuSecond, callsPerSecond, errors }: Awaited<ReturnType<typeof ratioToBare>>): string[] {
  return [ratio.toFixed(3), perCpuSecond.toFixed(0), callsPerSecond.toFixed(0), String(errors)];
}

const columns = ["ratio to bare", "calls per CPU-s", "calls/s", "errors"];

/** More workers and dispatchers, not pinned: calls a second must not fall. */
async function processes(options: GrowthOptions): Promise<void> {
  const { workDir, upstreamUrl } = options;
  const bare = await startBare(19_110, upstreamUrl);
  const rows: Row[] = [];
  for (const count of [1, 2, 4]) {
    const stack = await startSluice({
      workDir,
      upstreamUrl,
      name: `growth-${count}`,
      port: 19_700 + count * 20,
      mode: "always",
      workers: count,
      dispatchers: count,
    });
    // Each of them has its own compilers to wait for.
    await measure(scenarios.b, stack, { ...timing({ workDir, upstreamUrl }), durationMs: 8000 * count });
    rows.push({
      what: `${count} workers, ${count} dispatchers`,
      figures: figures(await ratioToBare(stack, bare, { workDir, upstreamUrl })),
    });
    await stack.close();
  }
  await bare.close();
  print("b with more processes (not pinned)", columns, rows);
}

/** Jobs that lie in the lane, parked far in the future, while calls pass. */
async function queueDepth(options: GrowthOptions): Promise<void> {
  const bare = await startBare(19_110, options.upstreamUrl, options.cpu);
  const port = 19_800;
  const stack = await startSluice({ ...options, name: "growth-depth", port, mode: "always" });
  const redis = new Redis(port + 1, "127.0.0.1");
  const rows: Row[] = [];
  let lying = 0;
  for (const depth of [10, 1000, 100_000]) {
    await addParked(redis, { from: lying, to: depth });
    lying = depth;
    rows.push({ what: `${depth} jobs parked in the lane`, figures: figures(await ratioToBare(stack, bare, options)) });
  }
  await redis.quit();
  await stack.close();
  await bare.close();
  print("b with a deep queue", columns, rows);
}

/** As BullMQ keeps a delayed job: a hash, and its id in the lane's sorted set by the time it is due. */
async function addParked(redis: Redis, range: { readonly from: number; readonly to: number }): Promise<void> {
  const due = (Date.now() + 86_400_000) * 0x1000;
  const lane = "{sluice}:interactive";
  for (let at = range.from; at < range.to; at += 1000) {
    const pipeline = redis.pipeline();
    for (let index = at; index < Math.min(at + 1000, range.to); index += 1) {
      pipeline.hset(`${lane}:parked-${index}`, {
        name: "c",
        data: "{}",
        opts: "{}",
        timestamp: Date.now(),
        delay: 86_400_000,
      });
      pipeline.zadd(`${lane}:delayed`, due + index, `parked-${index}`);
    }
    await pipeline.exec();
  }
}

async function keysAndModels(options: GrowthOptions): Promise<void> {
  const bare = await startBare(19_110, options.upstreamUrl, options.cpu);
  const rows: Row[] = [];
  const stacks: { readonly what: string; readonly stack: Target }[] = [];
  for (const [keys, models, port] of [
    [1, 1, 19_840],
    [1000, 200, 19_860],
  ] as const) {
    const stack = await startSluice({ ...options, name: `growth-keys-${keys}`, port, mode: "always", keys, models });
    stacks.push({ what: `${keys} keys, ${models} models`, stack });
  }
  for (const { stack } of stacks) await measure(scenarios.b, stack, { ...timing(options), durationMs: 15_000 });
  for (const { what, stack } of stacks) rows.push({ what, figures: figures(await ratioToBare(stack, bare, options)) });
  for (const { stack } of stacks) await stack.close();
  await bare.close();
  print("b with keys and models", columns, rows);
}

/**
 * Memory of each process at rest, and of an open paced stream over all of them: what 500 take more than 50, in processes
 * whose heaps have grown to the work. Against the processes at rest, those heaps would be counted as the streams'.
 */
async function memory(options: GrowthOptions): Promise<void> {
  const stack = await startSluice({ ...options, name: "growth-memory", port: 19_900, mode: "always" });
  await sleep(8_000);
  const pids = stack.processes.map(({ pid }) => pid);
  const before = cpuSeconds(pids);
  await sleep(5000);
  const idle = (cpuSeconds(pids) - before) / 5;
  const rows: Row[] = stack.processes.map(({ name, pid }) => ({
    what: `${name} at rest`,
    figures: [`${residentMb(pid).toFixed(0)} MB`],
  }));
  rows.push({ what: "idle CPU of all processes", figures: [`${(idle * 100).toFixed(1)} %`] });
  const few = { ...scenarios.d500, load: { ...scenarios.d500.load, connections: 50 } };
  const timed = { ...timing(options), warmupMs: 1800, durationMs: 6000 };
  await measure(scenarios.d500, stack, timed);
  const perStream: number[] = [];
  for (let repetition = 0; repetition < 3; repetition += 1) {
    const base = await measure(few, stack, timed);
    const full = await measure(scenarios.d500, stack, timed);
    perStream.push(((full.residentMb - base.residentMb) * 1024) / 450);
  }
  const [least = NaN, median = NaN, most = NaN] = perStream.toSorted((a, b) => a - b).map(Math.round);
  rows.push({ what: "an open stream, over all processes", figures: [`${median} KB (${least} to ${most})`] });
  await stack.close();
  print("memory", ["figure"], rows);
}

export const growths = { processes, queueDepth, keysAndModels, memory };
export type GrowthName = keyof typeof growths;
