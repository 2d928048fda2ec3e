/**
 * Where a flow breaks: offered load is raised until answers fail or come late, then twice the knee is offered for a
 * minute. Past the knee the gateway must shed and keep its goodput.
 */
import { measure, type Measurement } from "./measure.ts";
import { scenarios, type Scenario } from "./scenarios.ts";
import { startSluice, type StackOptions } from "./targets.ts";

export type KneeOptions = Pick<StackOptions, "workDir" | "upstreamUrl" | "cpu" | "mode"> & {
  readonly loadCpu?: string;
  readonly quick: boolean;
};

export const flows = { whole: scenarios.b, stream: scenarios.c, count: scenarios.f, large: scenarios.e } as const;
export type FlowName = keyof typeof flows;

/** An answer that comes later does not count. */
const deadlineMs = 2000;
const startRates = { whole: 400, stream: 300, count: 400, large: 20 } as const satisfies Record<FlowName, number>;
const growth = 1.25;

function holds(at: Measurement, rate: number): boolean {
  return at.errors + at.shed === 0 && at.calls / at.seconds >= rate * 0.95 && at.latency.p99 < 1000;
}

function line(rate: number, at: Measurement): string {
  const good = (at.calls / at.seconds).toFixed(0);
  return `| ${rate.toFixed(0)} | ${good} | ${at.latency.p50.toFixed(1)} | ${at.latency.p99.toFixed(0)} | ${at.cpuShare.toFixed(2)} | ${at.shed} | ${at.errors} |\n`;
}

export async function findKnee(flow: FlowName, options: KneeOptions): Promise<void> {
  const { workDir, upstreamUrl, mode, cpu, loadCpu, quick } = options;
  const stack = await startSluice({
    workDir,
    upstreamUrl,
    mode,
    name: `knee-${flow}`,
    port: 19_950,
    ...(cpu ? { cpu } : {}),
  });
  const base: Scenario = flows[flow];
  const offer = (rate: number, durationMs: number): Promise<Measurement> =>
    measure({ ...base, load: { ...base.load, rate, deadlineMs } }, stack, {
      upstreamUrl,
      ...(loadCpu ? { loadCpu } : {}),
      warmupMs: 1500,
      durationMs,
    });
  process.stdout.write(`\n### knee: ${flow} (queue.interactive: ${mode})\n\n`);
  process.stdout.write("| offered/s | answered in time/s | p50 ms | p99 ms | CPU share | shed | errors |\n");
  process.stdout.write("| --- | --- | --- | --- | --- | --- | --- |\n");
  await measure(base, stack, {
    upstreamUrl,
    ...(loadCpu ? { loadCpu } : {}),
    warmupMs: 1000,
    durationMs: quick ? 3000 : 15_000,
  });
  let knee = { rate: 0, good: 0 };
  for (let rate: number = startRates[flow]; ; rate *= growth) {
    const at = await offer(rate, quick ? 2000 : 5000);
    process.stdout.write(line(rate, at));
    if (!holds(at, rate)) break;
    knee = { rate, good: at.calls / at.seconds };
  }
  const twice = await offer(knee.rate * 2, quick ? 10_000 : 60_000);
  process.stdout.write(line(knee.rate * 2, twice));
  const share = twice.calls / twice.seconds / knee.good;
  process.stdout.write(
    `\nknee ${knee.rate.toFixed(0)}/s; at twice of it ${(share * 100).toFixed(0)} % of the knee's throughput in time\n`,
  );
  await stack.close();
}
