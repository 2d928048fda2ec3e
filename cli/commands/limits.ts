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
  help: `IN USE is interactive+background calls in hand, of as many as the workers think the target takes at a time.
REMAINING is what the provider said last of its own limits.`,
  args: 0,
  options: {
    all: { type: "boolean", help: "also targets that nobody has used" },
    json: { type: "boolean", help: "all of it, as the gateway answers" },
  },
  async run({ client, values, terminal, self }) {
    const answer = await client().get<Limits>("/v1/limits");
    if (values["json"] === true) {
      terminal.out(`${JSON.stringify(answer, undefined, 2)}\n`);
      return 0;
    }
    const shown = values["all"] === true ? answer.targets : answer.targets.filter(isWorthARow(answer.targets));
    terminal.out(render(answer, shown));
    const hidden = answer.targets.length - shown.length;
    if (hidden > 0)
      terminal.note(
        `Left out: ${hidden} of ${answer.targets.length} targets, that nobody has used. See them with:  ${self} limits --all`,
      );
    return 0;
  },
};

/** A target that is out by itself is told of though nobody used it; one that is out with its provider is not. */
function isWorthARow(targets: readonly TargetLimits[]): (target: TargetLimits) => boolean {
  const whole = new Set(byProvider(targets).filter(isOutAsAWhole).flat());
  return (target) =>
    target.concurrency !== null ||
    Object.keys(target.limits).length > 0 ||
    (target.state !== "ok" && !whole.has(target));
}

function byProvider(targets: readonly TargetLimits[]): TargetLimits[][] {
  return [...Map.groupBy(targets, ({ provider }) => provider).values()];
}

/** Whether all of a provider's targets, and they are several, are not asked for one reason. */
function isOutAsAWhole(targets: readonly TargetLimits[]): boolean {
  const reasons = new Set(targets.map((target) => (target.reason ? whyOf(target) : "")));
  return targets.length > 1 && reasons.size === 1 && !reasons.has("");
}

function render({ at, targets, lanes }: Limits, shown: readonly TargetLimits[]): string {
  const targetRows = shown.map((target) => [
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
  const leftOut = byProvider(targets).flatMap(describeLeftOut);
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

/** Of one provider: a row for each target that is not asked, or one for all. */
function describeLeftOut(targets: readonly TargetLimits[]): string[][] {
  const row = ({ provider, model, blocked_until: until, ...why }: TargetLimits): string[] => [
    provider,
    model,
    until ?? "-",
    whyOf(why),
  ];
  const [soonest] = targets.toSorted((one, other) =>
    (one.blocked_until ?? "").localeCompare(other.blocked_until ?? ""),
  );
  if (soonest !== undefined && isOutAsAWhole(targets)) return [row({ ...soonest, model: `all ${targets.length}` })];
  return targets.filter(({ reason }) => reason).map(row);
}

function whyOf({ reason, last_error: last }: Pick<TargetLimits, "reason" | "last_error">): string {
  const seen = [last?.status, last?.error].filter((part) => part !== null && part !== undefined).join(" ");
  const why = reasonWords[reason ?? ""] ?? reason ?? "";
  return seen === "" ? why : `${why} (${seen})`;
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
