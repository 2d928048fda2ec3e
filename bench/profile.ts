/** Where the time of each process goes: V8 CPU profiles under load, summed up by package and function. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startProfiler, type CpuProfile } from "./inspect.ts";
import { measure } from "./measure.ts";
import { scenarios, type ScenarioName } from "./scenarios.ts";
import { startSluice } from "./targets.ts";

export interface ProfileOptions {
  readonly workDir: string;
  readonly upstreamUrl: string;
  readonly mode: "always" | "when_waiting";
  readonly cpu?: string;
  readonly loadCpu?: string;
}

/** The part of the program a frame belongs to: a package, a file of ours, or a part of Node. */
function partOf(url: string, functionName: string): string {
  const inPackage = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (inPackage) return inPackage;
  if (url.startsWith("node:")) return url.split("/").slice(0, 2).join("/");
  const ours = /\/((?:shared|services)\/.*)$/.exec(url)?.[1];
  return ours ?? (functionName || "(native)");
}

function top(title: string, times: ReadonlyMap<string, number>, total: number): string[] {
  const rows = [...times].toSorted((a, b) => b[1] - a[1]).slice(0, 22);
  return [title, ...rows.map(([name, us]) => `  ${((us / total) * 100).toFixed(1).padStart(5)} %  ${name}`)];
}

export function summarise(cpuProfile: CpuProfile): string[] {
  const frames = new Map(cpuProfile.nodes.map((node) => [node.id, node.callFrame]));
  const parts = new Map<string, number>();
  const functions = new Map<string, number>();
  let total = 0;
  cpuProfile.samples.forEach((sample, index) => {
    const frame = frames.get(sample);
    const us = cpuProfile.timeDeltas[index] ?? 0;
    if (!frame || frame.functionName === "(idle)") return;
    total += us;
    const part = partOf(frame.url, frame.functionName);
    parts.set(part, (parts.get(part) ?? 0) + us);
    const name = `${frame.functionName || "(anonymous)"} — ${part}`;
    functions.set(name, (functions.get(name) ?? 0) + us);
  });
  return [
    `busy ${(total / 1e6).toFixed(2)} s`,
    ...top("by part", parts, total),
    ...top("by function", functions, total),
  ];
}

const services = ["gateway", "dispatcher", "worker"] as const;
const inspectorPorts = { gateway: 19_601, dispatcher: 19_602, worker: 19_603 };

export async function profile(name: ScenarioName, options: ProfileOptions): Promise<void> {
  const { workDir, upstreamUrl, mode } = options;
  const target = await startSluice({
    name: "profiled",
    port: 19_500,
    mode,
    workDir,
    upstreamUrl,
    ...(options.cpu ? { cpu: options.cpu } : {}),
    nodeArgs: (service) => [`--inspect=127.0.0.1:${inspectorPorts[service]}`],
  });
  const run = { upstreamUrl, ...(options.loadCpu ? { loadCpu: options.loadCpu } : {}) };
  await measure(scenarios[name], target, { ...run, warmupMs: 1000, durationMs: 3000 });
  const profilers = await Promise.all(services.map((service) => startProfiler(inspectorPorts[service])));
  const at = await measure(scenarios[name], target, { ...run, warmupMs: 500, durationMs: 4000 });
  const profiles = await Promise.all(profilers.map((profiler) => profiler.stop()));
  await target.close();
  const rate = at.callsPerCpuSecond.toFixed(0);
  process.stdout.write(`${name}: ${scenarios[name].title}; ${rate} calls per CPU-second while profiled\n`);
  services.forEach((service, index) => {
    const cpuProfile = profiles[index];
    if (!cpuProfile) return;
    const file = join(workDir, `${service}.cpuprofile`);
    writeFileSync(file, JSON.stringify(cpuProfile));
    process.stdout.write(`\n${service} (${file})\n${summarise(cpuProfile).join("\n")}\n`);
  });
}
