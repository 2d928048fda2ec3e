/** Batches for longer and larger than tests can: intake, fairness, and a run in which everything is killed. */
import { start, stop, waitForPort } from "./processes.ts";
import { measureFairness, type FairnessFigures } from "./soak-fairness.ts";
import { measureIntake, type IntakeFigures } from "./soak-intake.ts";
import { brokenByFairness, brokenByIntake, brokenBySoak } from "./soak-promises.ts";
import { soak, type SoakFigures } from "./soak-run.ts";

export interface SoakOptions {
  readonly workDir: string;
  readonly items: number;
  say(text: string): void;
}

const port = 19_081;

function print(title: string, rows: readonly (readonly [what: string, figure: string])[]): void {
  const lines = rows.map(([what, figure]) => `| ${what} | ${figure} |`);
  process.stdout.write([`\n### ${title}\n`, "| | figure |", "| --- | --- |", ...lines, ""].join("\n"));
}

function printIntake({ status, megabytes, seconds, restMb, peakMb, redisMb }: IntakeFigures): void {
  print(`100,000 requests in one body of ${megabytes.toFixed(0)} MB`, [
    ["answer", `${status} after ${seconds.toFixed(1)} s`],
    ["gateway's memory, at rest and at most", `${restMb.toFixed(0)} MB, ${peakMb.toFixed(0)} MB`],
    ["Redis' memory at most", `${redisMb.toFixed(0)} MB`],
  ]);
}

function printFairness(figures: FairnessFigures, items: number): void {
  const { queueAloneMs, queueBesideMs, answeredAloneMs, answeredBesideMs, smallAloneMs, smallBehindMs } = figures;
  print(`beside a batch of ${items} (a provider that takes 20 calls of 100 ms)`, [
    ["p95 of interactive calls' queue wait, alone and beside", `${queueAloneMs} ms, ${queueBesideMs} ms`],
    [
      "p95 of their answers",
      `${answeredAloneMs.toFixed(0)} ms, ${answeredBesideMs.toFixed(0)} ms (× ${(answeredBesideMs / answeredAloneMs).toFixed(2)})`,
    ],
    ["failed", String(figures.failed)],
    ["items a second beside them", figures.itemsPerSecond.toFixed(0)],
    [
      "a batch of 100 of another key, alone and behind",
      `${(smallAloneMs / 1000).toFixed(1)} s, ${(smallBehindMs / 1000).toFixed(1)} s (× ${(smallBehindMs / smallAloneMs).toFixed(2)})`,
    ],
  ]);
}

function printSoak({ items, results, rerun, seconds, allowedPerSecond, upstream, ...rest }: SoakFigures): void {
  const rate = items / seconds;
  print(`a batch of ${items}, 30 % of the calls refused (10 % 429, 20 % 529), everything killed twice`, [
    ["results, different custom_ids, succeeded", `${results.lines}, ${results.ids}, ${results.succeeded}`],
    ["items that may have been paid twice, and were", `${rerun}, ${upstream.servedAgain}`],
    [
      "time; items a second; share of what the provider serves at most",
      `${seconds.toFixed(0)} s; ${rate.toFixed(1)}; ${((100 * rate) / allowedPerSecond).toFixed(0)} %`,
    ],
    [
      "calls the provider saw, refused by chance, refused as too many",
      `${upstream.asked}, ${upstream.forced}, ${upstream.refused}`,
    ],
    ["killed", rest.kills.join(", ")],
    ...rest.growths.map(
      ({ name, mbPerMinute, seconds: over, peakMb }) =>
        [
          `${name}: growth over its longest life, at most`,
          `${mbPerMinute.toFixed(1)} MB a minute over ${over.toFixed(0)} s, ${peakMb.toFixed(0)} MB`,
        ] as const,
    ),
  ]);
}

/** Prints the figures; the process ends with 1 when one of them is not what it has to be. */
export async function runSoak({ workDir, items, say }: SoakOptions): Promise<void> {
  const upstream = start("upstream", [process.execPath, "bench/soak-upstream.ts", String(port)]);
  const options = { workDir, upstreamUrl: `http://127.0.0.1:${port}`, items, say };
  try {
    await waitForPort(port);
    say("intake of 200 MB");
    const intake = await measureIntake(options);
    printIntake(intake);
    say("interactive calls beside a batch");
    const fairness = await measureFairness(options);
    printFairness(fairness, items);
    say("the soak");
    const figures = await soak(options);
    printSoak(figures);
    const broken = [...brokenByIntake(intake), ...brokenByFairness(fairness), ...brokenBySoak(figures)];
    for (const promise of broken) say(`NOT SO: ${promise}`);
    if (broken.length > 0) process.exitCode = 1;
  } finally {
    await stop(upstream);
  }
}
