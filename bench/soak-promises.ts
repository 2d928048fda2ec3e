/** What the soak's figures are held to; a run that misses any of it ends with 1. */
import type { FairnessFigures } from "./soak-fairness.ts";
import type { IntakeFigures } from "./soak-intake.ts";
import type { SoakFigures } from "./soak-run.ts";

type Promised = readonly [what: string, isKept: boolean];

const mostGatewayMb = 300;
const mostMbPerMinute = 1;
/** In a life that is shorter the compilers and the first collections are most of what is seen. */
const leastSeconds = 60;
const mostRatio = 1.5;
/** Of waits shorter than this a ratio says nothing. */
const shortWaitMs = 50;

export function brokenByIntake({ status, megabytes, peakMb }: IntakeFigures): string[] {
  return broken([
    ["100,000 requests in 200 MB are taken", status === 200 && megabytes >= 200],
    [`the gateway stays under ${mostGatewayMb} MB meanwhile`, peakMb < mostGatewayMb],
  ]);
}

export function brokenByFairness(figures: FairnessFigures): string[] {
  const { queueAloneMs, queueBesideMs, smallAloneMs, smallBehindMs, failed } = figures;
  return broken([
    ["interactive calls wait no longer", queueBesideMs <= mostRatio * Math.max(queueAloneMs, shortWaitMs)],
    ["none of them fails", failed === 0],
    ["the small batch ends within twice its time", smallBehindMs <= 2 * smallAloneMs],
  ]);
}

export function brokenBySoak({ items, results, growths, kills }: SoakFigures): string[] {
  const { lines, ids, succeeded } = results;
  const killed = (name: string): number => kills.filter((kill) => kill.startsWith(`${name} `)).length;
  return broken([
    ["every item has its result once", lines === items && ids === items && succeeded === items],
    ...["gateway", "dispatcher", "worker", "redis"].map((name): Promised => [
      `${name} is killed twice`,
      killed(name) === 2,
    ]),
    ...growths.map(({ name, mbPerMinute, seconds }): Promised =>
      seconds < leastSeconds
        ? [`${name} lives long enough for its growth to be told`, false]
        : [`${name} grows by less than ${mostMbPerMinute} MB a minute`, mbPerMinute < mostMbPerMinute],
    ),
  ]);
}

function broken(promises: readonly Promised[]): string[] {
  return promises.filter(([, isKept]) => !isKept).map(([what]) => what);
}
