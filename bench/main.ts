/**
 * `npm run bench`: what a call costs, beside the upstream itself and a bare Fastify + undici gateway in the same run.
 * `npm run bench -- --help` lists what it can do.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { measure, type MeasureOptions } from "./measure.ts";
import { start, stop, waitForPort } from "./processes.ts";
import { growths, type GrowthName } from "./growth.ts";
import { runHour } from "./hour.ts";
import { findKnee, flows, type FlowName } from "./knee.ts";
import { profile } from "./profile.ts";
import { markdown, plot, type Results } from "./report.ts";
import { runSoak } from "./soak.ts";
import { scenarioNames, scenarios, type ScenarioName } from "./scenarios.ts";
import { directTarget, startBare, startPortkey, startSluice, type Target } from "./targets.ts";

const help = `npm run bench -- [options]        the table: cost of a call beside direct and bare
npm run bench -- growth [KIND]        with more processes, a deep queue, many keys; memory
npm run bench -- knee [FLOW]          raised load until it breaks, then twice that for a minute [--mode when_waiting]
npm run bench -- profile SCENARIO     CPU profiles of each process, and where their time goes [--mode when_waiting]
npm run bench -- soak [--items N]     batches: 200 MB in one body, fairness, and 40,000 items while everything is killed
npm run bench -- hour [--minutes N]   mixed load for an hour, and how memory grows

  --quick             one short repetition, under a minute
  --reps N            repetitions, interleaved (3)
  --scenarios a,b     some of: ${scenarioNames.join(", ")}
  --peer portkey      beside Portkey (npm install --no-save @portkey-ai/gateway)
  --no-pin            leave the placement of processes to the kernel
  --out DIR           where the results go (bench/results; with --quick: a temporary folder)`;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    reps: { type: "string" },
    scenarios: { type: "string" },
    peer: { type: "string" },
    "no-pin": { type: "boolean", default: false },
    out: { type: "string" },
    mode: { type: "string", default: "always" },
    items: { type: "string", default: "40000" },
    minutes: { type: "string", default: "60" },
    help: { type: "boolean", default: false },
  },
});

const upstreamPort = 19_080;
const upstreamUrl = `http://127.0.0.1:${upstreamPort}`;
const [gatewayCpu, loadCpu] = flags["no-pin"] ? [undefined, undefined] : ["0", "1"];
const workDir = mkdtempSync(join(tmpdir(), "sluice-bench-"));

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function chosen(list: string | undefined): ScenarioName[] {
  const names = list?.split(",") ?? scenarioNames;
  const unknown = names.filter((name) => !(name in scenarios));
  if (unknown.length > 0)
    throw new Error(`unknown scenario ${unknown.join(", ")}; there are ${scenarioNames.join(", ")}`);
  return names as ScenarioName[];
}

const whenWaiting = "sluice-when-waiting";

async function startTargets(): Promise<Target[]> {
  const cpu = gatewayCpu ? { cpu: gatewayCpu } : {};
  const targets = [directTarget(upstreamUrl), await startBare(19_100, upstreamUrl, gatewayCpu)];
  const stack = { workDir, upstreamUrl, ...cpu };
  targets.push(await startSluice({ ...stack, name: "sluice", port: 19_200, mode: "always" }));
  targets.push(await startSluice({ ...stack, name: whenWaiting, port: 19_300, mode: "when_waiting" }));
  if (flags.peer === "portkey") targets.push(await startPortkey(19_400, upstreamUrl, gatewayCpu));
  else if (flags.peer) throw new Error(`unknown peer ${flags.peer}; there is portkey`);
  return targets;
}

type Surroundings = Pick<MeasureOptions, "upstreamUrl" | "loadCpu">;

/** The compilers' share: several processes on one CPU take half a minute to be as fast as they will be. */
async function warmUp(targets: readonly Target[], options: Surroundings): Promise<void> {
  const warming = { ...options, warmupMs: 300, durationMs: flags.quick ? 400 : 8000 };
  const warmers = flags.quick ? [scenarios.b] : [scenarios.b, scenarios.c, scenarios.f];
  for (const target of targets) for (const warmer of warmers) await measure(warmer, target, warming);
}

async function run(targets: readonly Target[], repetitions: number): Promise<Results> {
  const rows: Results["rows"][number][] = [];
  const options = { upstreamUrl, ...(loadCpu ? { loadCpu } : {}) };
  await warmUp(targets, options);
  for (let repetition = 0; repetition < repetitions; repetition += 1)
    for (const scenario of chosen(flags.scenarios))
      for (const target of targets) {
        const { durationMs, load } = scenarios[scenario];
        // Streams know no queue: they would be measured twice.
        if (load.stream && target.name === whenWaiting) continue;
        const warmupMs = ("rampMs" in load ? load.rampMs : 0) + (flags.quick ? 100 : 600);
        const lasting = durationMs[flags.quick ? 1 : 0];
        const at = await measure(scenarios[scenario], target, { ...options, warmupMs, durationMs: lasting });
        rows.push({ scenario, repetition, at });
        const rate = Number.isNaN(at.callsPerCpuSecond) ? "" : `, ${at.callsPerCpuSecond.toFixed(0)} per CPU-s`;
        const calls = (at.calls / at.seconds).toFixed(0);
        say(`${repetition + 1}/${repetitions} ${scenario} ${at.target}: ${calls} calls/s${rate}, ${at.errors} errors`);
      }
  return { rows };
}

async function table(): Promise<void> {
  const repetitions = Number(flags.reps ?? (flags.quick ? 1 : 3));
  const targets = await startTargets();
  const results = await run(targets, repetitions);
  for (const target of targets.toReversed()) await target.close();
  const pinned = gatewayCpu
    ? `every gateway pinned to CPU ${gatewayCpu}, upstream and load to CPU ${loadCpu}`
    : "not pinned";
  const medians = `Medians of ${repetitions} interleaved repetitions (min–max)`;
  const text = markdown(results, `${medians}; ${pinned}. CPU is that of all processes of a target, Redis included.`);
  const outDir = flags.out ?? (flags.quick || flags.scenarios ? workDir : "bench/results");
  mkdirSync(outDir, { recursive: true });
  writeFileSync(join(outDir, "results.md"), `${text}\n![ratios to bare](ratios.svg)\n`);
  writeFileSync(join(outDir, "ratios.svg"), plot(results));
  process.stdout.write(`${text}\n`);
  say(`written to ${outDir}`);
}

if (flags.help) process.stdout.write(`${help}\n`);
else if (positionals[0] === "soak") await runSoak({ workDir, items: Number(flags.items), say });
else {
  const upstream = start(
    "upstream",
    [process.execPath, "bench/upstream.ts", String(upstreamPort)],
    loadCpu ? { cpu: loadCpu } : {},
  );
  await waitForPort(upstreamPort);
  try {
    const [verb, scenario] = positionals;
    const cpus = { ...(gatewayCpu ? { cpu: gatewayCpu } : {}), ...(loadCpu ? { loadCpu } : {}) };
    const mode = flags.mode === "when_waiting" ? "when_waiting" : "always";
    if (verb === undefined) await table();
    else if (verb === "profile") {
      const [name] = chosen(scenario ?? "b");
      await profile(name ?? "b", { workDir, upstreamUrl, mode, ...cpus });
    } else if (verb === "growth") {
      const kinds = scenario === undefined ? (Object.keys(growths) as GrowthName[]) : [scenario as GrowthName];
      for (const kind of kinds) await growths[kind]({ workDir, upstreamUrl, ...cpus });
    } else if (verb === "hour") await runHour({ workDir, upstreamUrl, minutes: Number(flags.minutes), say });
    else if (verb === "knee") {
      const names = scenario === undefined ? (Object.keys(flows) as FlowName[]) : [scenario as FlowName];
      for (const flow of names) await findKnee(flow, { workDir, upstreamUrl, mode, quick: flags.quick, ...cpus });
    } else throw new Error(`unknown command ${verb}\n\n${help}`);
  } finally {
    await stop(upstream);
  }
}
