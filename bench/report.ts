/** Results as Markdown and as an SVG plot of the ratios to bare. */
import { execFileSync } from "node:child_process";
import { cpus, totalmem } from "node:os";
import type { Measurement } from "./measure.ts";
import { scenarios, type ScenarioName } from "./scenarios.ts";

export interface Results {
  /** One row a scenario, target and repetition. */
  readonly rows: readonly { readonly scenario: ScenarioName; readonly repetition: number; readonly at: Measurement }[];
}

interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

function spread(values: readonly number[]): Spread {
  const sorted = values.filter((value) => Number.isFinite(value)).toSorted((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)] ?? NaN;
  return { min: sorted[0] ?? NaN, median: middle, max: sorted.at(-1) ?? NaN };
}

function show({ min, median, max }: Spread, digits: number): string {
  if (Number.isNaN(median)) return "–";
  const text = (value: number): string => value.toFixed(digits);
  return min === max ? text(median) : `${text(median)} (${text(min)}–${text(max)})`;
}

function of(results: Results, scenario: ScenarioName, target: string): Measurement[] {
  return results.rows.filter((row) => row.scenario === scenario && row.at.target === target).map((row) => row.at);
}

/** `pick` of the target over `pick` of another target, repetition by repetition. */
function ratios(
  ours: readonly Measurement[],
  theirs: readonly Measurement[],
  pick: (m: Measurement) => number,
): Spread {
  return spread(ours.map((each, index) => pick(each) / pick(theirs[index] ?? each)));
}

function differences(
  ours: readonly Measurement[],
  theirs: readonly Measurement[],
  pick: (m: Measurement) => number,
): Spread {
  return spread(ours.map((each, index) => pick(each) - pick(theirs[index] ?? each)));
}

export function ratioToBare(results: Results, scenario: ScenarioName, target: string): Spread {
  return ratios(of(results, scenario, target), of(results, scenario, "bare"), (each) => each.callsPerCpuSecond);
}

function scenarioTable(results: Results, scenario: ScenarioName): string[] {
  const names = [...new Set(results.rows.filter((row) => row.scenario === scenario).map((row) => row.at.target))];
  const direct = of(results, scenario, "direct");
  const lines = [
    `### ${scenario}: ${scenarios[scenario].title}`,
    "",
    "| target | calls per CPU-s | ratio to bare | calls/s | CPU share | added p50 ms | added p99 ms | added first content p50 ms | transit p50 / p99 ms | MB | errors |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
  ];
  for (const name of names) {
    const rows = of(results, scenario, name);
    const cells = [
      name,
      show(spread(rows.map((row) => row.callsPerCpuSecond)), 0),
      show(ratioToBare(results, scenario, name), 3),
      show(spread(rows.map((row) => row.calls / row.seconds)), 0),
      show(spread(rows.map((row) => row.cpuShare)), 2),
      name === "direct"
        ? "0"
        : show(
            differences(rows, direct, (row) => row.latency.p50),
            2,
          ),
      name === "direct"
        ? "0"
        : show(
            differences(rows, direct, (row) => row.latency.p99),
            1,
          ),
      name === "direct"
        ? "0"
        : show(
            differences(rows, direct, (row) => row.firstContent.p50),
            2,
          ),
      `${show(spread(rows.map((row) => row.transit.p50)), 2)} / ${show(spread(rows.map((row) => row.transit.p99)), 1)}`,
      show(spread(rows.map((row) => row.residentMb)), 0),
      String(rows.reduce((sum, row) => sum + row.errors, 0)),
    ];
    lines.push(`| ${cells.join(" | ")} |`);
  }
  const failed = results.rows.find((row) => row.scenario === scenario && row.at.firstError !== undefined);
  if (failed) lines.push("", `First error (${failed.at.target}): \`${failed.at.firstError?.slice(0, 200)}\``);
  return [...lines, ""];
}

export function machineLine(): string {
  const cpu = cpus()[0]?.model.trim() ?? "unknown CPU";
  const kernel = execFileSync("uname", ["-sr"]).toString().trim();
  return `${cpu}, ${cpus().length} CPUs, ${Math.round(totalmem() / 2 ** 30)} GiB; ${kernel}; Node ${process.version}`;
}

export function markdown(results: Results, note: string): string {
  const names = [...new Set(results.rows.map((row) => row.scenario))];
  return [
    "# Bench results",
    "",
    `${new Date().toISOString().slice(0, 10)}; ${machineLine()}.`,
    "",
    note,
    "",
    ...names.flatMap((name) => scenarioTable(results, name)),
  ].join("\n");
}

const colours = ["#4c78a8", "#f58518", "#54a24b", "#b279a2"];

/** Bars: calls per CPU-second as a share of bare's, a group a scenario. */
export function plot(results: Results): string {
  const names = [...new Set(results.rows.map((row) => row.scenario))];
  const targets = [...new Set(results.rows.map((row) => row.at.target))].filter(
    (name) => name !== "direct" && name !== "bare",
  );
  const [barWidth, groupGap, height] = [26, 30, 220];
  const groupWidth = targets.length * barWidth + groupGap;
  const parts: string[] = [];
  names.forEach((name, group) => {
    const left = 50 + group * groupWidth;
    targets.forEach((target, index) => {
      const value = ratioToBare(results, name, target).median;
      if (Number.isNaN(value)) return;
      const bar = Math.min(1, value) * height;
      const x = left + index * barWidth;
      const y = 30 + height - bar;
      parts.push(
        `<rect x="${x}" y="${y.toFixed(1)}" width="${barWidth - 4}" height="${bar.toFixed(1)}" fill="${colours[index % 4]}"/>`,
      );
      parts.push(`<text x="${x + 11}" y="${(y - 4).toFixed(1)}" text-anchor="middle">${value.toFixed(2)}</text>`);
    });
    parts.push(
      `<text x="${left + (targets.length * barWidth) / 2}" y="${height + 48}" text-anchor="middle">${name}</text>`,
    );
  });
  targets.forEach((target, index) => {
    parts.push(
      `<rect x="${50 + index * 190}" y="${height + 62}" width="10" height="10" fill="${colours[index % 4]}"/>`,
    );
    parts.push(`<text x="${66 + index * 190}" y="${height + 71}">${target}</text>`);
  });
  const width = Math.max(80 + names.length * groupWidth, 60 + targets.length * 190);
  const title = `<text x="50" y="16">calls per CPU-second, as a share of bare Fastify + undici</text>`;
  const axis = `<line x1="44" y1="${height + 30}" x2="${width - 10}" y2="${height + 30}" stroke="#888"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + 84}" font-family="sans-serif" font-size="10">${title}${axis}${parts.join("")}</svg>\n`;
}
