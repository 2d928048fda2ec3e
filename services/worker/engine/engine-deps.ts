import type { EngineConfig } from "#shared/config/schema.ts";
import type { Catalogue } from "#shared/routing/catalogue.ts";
import type { TargetBoard } from "#shared/store/target-board.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { Metrics } from "#shared/telemetry/metrics.ts";
import { createBetaTable, type BetaTable } from "../adapters/betas.ts";
import { createAttemptMetrics, type AttemptMetrics } from "./attempt-metrics.ts";
import type { AttemptOrder } from "./attempt-order.ts";
import { createBetaMemory, type BetaMemory } from "./beta-memory.ts";
import { createBreaker, type Breaker } from "./breaker.ts";
import { createLimits, type Limits } from "./limits.ts";
import { createPaces, type Paces } from "./pace.ts";
import { createProbes, type Probes } from "./probe.ts";
import type { Providers } from "./provider.ts";
import { createTroubleLog, type TroubleLog } from "./trouble-log.ts";

/** What the attempt engine works with; one per process. */
export interface EngineDeps {
  readonly config: EngineConfig;
  readonly providers: Providers;
  readonly catalogue: Catalogue;
  readonly board: TargetBoard;
  readonly breaker: Breaker;
  readonly limits: Limits;
  readonly probes: Probes;
  readonly paces: Paces;
  readonly betas: BetaMemory;
  readonly betaTable: BetaTable;
  readonly metrics: Metrics;
  readonly laterDeadline: AttemptOrder["laterDeadline"];
  readonly attemptMetrics: AttemptMetrics;
  readonly troubleLog: TroubleLog;
}

interface GivenDeps extends Pick<
  EngineDeps,
  "config" | "providers" | "catalogue" | "board" | "metrics" | "laterDeadline"
> {
  readonly logger: Logger;
}

export function createEngineDeps({ logger, ...given }: GivenDeps): EngineDeps {
  const { board, metrics, providers } = given;
  const troubleLog = createTroubleLog({ logger, providers });
  return {
    ...given,
    troubleLog,
    breaker: createBreaker(board, ({ provider, model }) => metrics.breakerOpeningsTotal.inc({ provider, model })),
    limits: createLimits(board, (target, { reason, cause, until }) => {
      metrics.targetBlockedTotal.inc({ provider: target.provider, model: target.model, reason });
      troubleLog.noted(target, cause, until);
    }),
    probes: createProbes(board),
    paces: createPaces((provider) => providers.get(provider)?.config.connections ?? Number.POSITIVE_INFINITY),
    betas: createBetaMemory(),
    betaTable: createBetaTable(),
    attemptMetrics: createAttemptMetrics(metrics),
  };
}
