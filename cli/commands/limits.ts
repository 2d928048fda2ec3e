import type { Command } from "../command.ts";
import { renderTable } from "../render-table.ts";

interface Limit {
  readonly limit: number | null;
  readonly remaining: number | null;
  readonly reset: string | null;
}

interface TargetLimits {
  readonly provider: string;
  readonly model: string;
  readonly state: string;
  readonly blocked_until: string | null;
  readonly unavailable_until: string | null;
  /** Absent from a gateway of an older version. */
  readonly reason?: string | null;
  readonly last_error?: { readonly status: number | null; readonly error: string | null } | null;
  readonly limits: Readonly<Record<string, Limit>>;
  readonly concurrency: { readonly limit: number; readonly interactive: number; readonly background: number } | null;
}

interface LaneLimits {
  readonly waiting: number;
  readonly parked: number;
  readonly running: number;
  readonly oldest_waiting_ms: number | null;
}

interface Limits {
  readonly at: string;
  readonly targets: readonly TargetLimits[];
  readonly lanes: Readonly<Record<string, LaneLimits>>;
}

export const limits: Command = {
  usage: "limits",
  summary: "show the providers' limits and how full the lanes are",
  help: "With --json as the gateway answers.",
  args: 0,
  options: { json: { type: "boolean" } },
  async run({ client, values, terminal }) {
    const answer = await client().get<Limits>("/v1/limits");
    terminal.out(values["json"] === true ? `${JSON.stringify(answer, undefined, 2)}\n` : render(answer));
    return 0;
  },
};

function render({ at, targets, lanes }: Limits): string {
  const targetRows = targets.map((target) => [
    target.provider,
    target.model,
    describeState(target, Date.parse(at)),
    describeUse(target),
    describeRemaining(target),
  ]);
  const laneRows = Object.entries(lanes).map(([lane, depth]) => [
    lane,
    String(depth.waiting),
    String(depth.parked),
    String(depth.running),
    depth.oldest_waiting_ms === null ? "-" : seconds(depth.oldest_waiting_ms),
  ]);
  const leftOut = targets.filter(({ reason }) => reason).map(describeLeftOut);
  return [
    renderTable(["PROVIDER", "MODEL", "STATE", "IN USE", "REMAINING"], targetRows),
    ...(leftOut.length === 0 ? [] : [renderTable(["NOT ASKED", "MODEL", "UNTIL", "WHY"], leftOut)]),
    renderTable(["LANE", "WAITING", "PARKED", "RUNNING", "OLDEST"], laneRows),
  ].join("\n");
}

function describeState(
  { state, blocked_until: blocked, unavailable_until: unavailable }: TargetLimits,
  at: number,
): string {
  const until = blocked ?? unavailable;
  return state === "ok" || until === null ? state : `${state} ${seconds(Date.parse(until) - at)}`;
}

/** By the gateway's reasons, which are those of attempts in a trace. */
const reasonWords: Readonly<Record<string, string>> = {
  rate_limited: "rate limited",
  credential_refused: "credential refused: check its entry in sluice.yaml",
  account_exhausted: "out of credit, over its spend limit or on hold: see its account",
  connect_failed: "breaker open: cannot be reached",
  overloaded: "breaker open: overloaded",
  server_error: "breaker open: server errors",
  reset: "breaker open: breaks connections",
  no_status: "breaker open: does not answer in time",
  stream_error: "breaker open: streams fail",
  stream_cut: "breaker open: streams end early",
};

function describeLeftOut({ provider, model, blocked_until: until, reason, last_error: last }: TargetLimits): string[] {
  const seen = [last?.status, last?.error].filter((part) => part !== null && part !== undefined).join(" ");
  const why = reasonWords[reason ?? ""] ?? reason ?? "";
  return [provider, model, until ?? "-", seen === "" ? why : `${why} (${seen})`];
}

function describeUse({ concurrency }: TargetLimits): string {
  if (!concurrency) return "-";
  const { interactive, background, limit } = concurrency;
  return `${interactive}+${background} of ${limit}`;
}

function describeRemaining({ limits }: TargetLimits): string {
  const said = Object.entries(limits)
    .filter(([, { remaining }]) => remaining !== null)
    .map(([name, { remaining, limit }]) => `${name} ${remaining}${limit === null ? "" : `/${limit}`}`);
  return said.length === 0 ? "-" : said.join(", ");
}

function seconds(ms: number): string {
  return `${Math.max(0, ms / 1000).toFixed(1)}s`;
}
