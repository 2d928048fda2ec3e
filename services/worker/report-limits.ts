import type { HeadersOfTarget, LimitsReporter, TargetUse } from "#shared/store/fleet-limits.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";
import { readHeaderLimits } from "./engine/header-limits.ts";
import type { Pace, Paces } from "./engine/pace.ts";
import { targetKey } from "./engine/target-key.ts";

export interface ReportLimitsDeps {
  readonly paces: Paces;
  readonly reporter: LimitsReporter;
  readonly metrics: Pick<Metrics, "targetConcurrency">;
}

const reportEveryMs = 1_000;
/** Also when nothing changes, so that the worker is not taken for gone. */
const aliveEveryMs = 10_000;

/** Tells the fleet what this worker finds out of its targets, once a second at most. What Redis misses comes next time. */
export function reportLimits(deps: ReportLimitsDeps): { close(): void } {
  const told = new Map<string, { version: number; headersAt: number }>();
  let toldAt = 0;
  let isTelling = false;

  async function tell(): Promise<void> {
    const uses: TargetUse[] = [];
    const headers: HeadersOfTarget[] = [];
    const seen: (() => void)[] = [];
    let hasNews = false;
    for (const [target, pace] of deps.paces.all()) {
      const key = targetKey(target);
      const before = told.get(key);
      const { version, headersAt } = pace;
      uses.push({ ...target, limit: pace.limit, interactive: pace.interactive, background: pace.background });
      if (before?.version === version) continue;
      hasNews = true;
      setGauges(uses.at(-1), deps);
      const limits = headersAt === before?.headersAt ? undefined : readLimits(pace);
      if (limits) headers.push({ ...target, limits, at: headersAt });
      seen.push(() => told.set(key, { version, headersAt }));
    }
    if (uses.length === 0 || (!hasNews && Date.now() - toldAt < aliveEveryMs)) return;
    await deps.reporter.report(uses, headers);
    toldAt = Date.now();
    for (const note of seen) note();
  }
  const timer = setInterval(() => {
    if (isTelling) return;
    isTelling = true;
    void tell()
      .catch(() => undefined)
      .finally(() => {
        isTelling = false;
      });
  }, reportEveryMs).unref();
  return { close: () => clearInterval(timer) };
}

function readLimits({ headers }: Pace): HeadersOfTarget["limits"] | undefined {
  return headers ? readHeaderLimits(headers) : undefined;
}

function setGauges(use: TargetUse | undefined, { metrics }: ReportLimitsDeps): void {
  if (!use) return;
  const { provider, model } = use;
  for (const kind of ["limit", "interactive", "background"] as const)
    metrics.targetConcurrency.set({ provider, model, kind }, use[kind]);
}
