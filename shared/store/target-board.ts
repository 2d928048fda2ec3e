import type { Logger } from "#shared/telemetry/logger.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { createTargetSharing } from "./target-sharing.ts";
import type { TargetCause } from "./target-cause.ts";
import { createTargetTable, openingsKeptMs, type TargetState } from "./target-table.ts";
import { within } from "#shared/runtime/within.ts";

export type { TargetState };

/** (provider, upstream model id). */
interface BoardTarget {
  readonly provider: string;
  readonly model: string;
}

/** What all workers know of the targets. Times are milliseconds since the epoch; they only extend. */
export interface TargetBoard {
  /** From memory, without allocation. A live view. */
  state(provider: string, model: string): TargetState;
  /** Rate limited. */
  block(target: BoardTarget, until: number, cause: TargetCause): void;
  /** Not to be used: our credential is refused, or the account is exhausted. A bare name means the whole provider. */
  out(providerOrTarget: string | BoardTarget, until: number, cause: TargetCause): void;
  openBreaker(target: BoardTarget, until: number, cause: TargetCause): void;
  /** For every success; costs nothing unless the breaker had opened. */
  closeBreaker(target: BoardTarget): void;
  /** True for the one call that may try the target first, for `holdMs` at most. Takes 50 ms at most. */
  takeProbe(target: BoardTarget, holdMs: number): Promise<boolean>;
  endProbe(target: BoardTarget): void;
  /** False while Redis is away: then the board holds what the process itself found out, and what it last heard. */
  readonly shared: boolean;
  close(): void;
}

export interface TargetBoardOptions {
  readonly redis: RedisConnection;
  readonly subscriber: RedisConnection;
  readonly prefix: string;
  readonly logger: Logger;
}

const probeCapMs = 50;

export function createTargetBoard(options: TargetBoardOptions): TargetBoard {
  const { redis, logger } = options;
  const table = createTargetTable();
  const sharing = createTargetSharing({ ...options, table });
  return {
    state: table.state,
    block({ provider, model }, until, cause) {
      const fact = { kind: "block", provider, model, until, cause } as const;
      table.apply(fact);
      sharing.tell(fact);
    },
    out(where, until, cause) {
      const { provider, model } = typeof where === "string" ? { provider: where, model: undefined } : where;
      const fact = { kind: "out", provider, model, until, cause } as const;
      table.apply(fact);
      sharing.tell(fact);
    },
    openBreaker({ provider, model }, until, cause) {
      const state = table.state(provider, model);
      const openings = nextOpenings(state);
      // Calls that were in flight when it opened fail behind it.
      if (state.breakerUntil <= Date.now())
        logger.warn({ provider, model, ...cause, until: new Date(until).toISOString(), openings }, "breaker opened");
      const fact = { kind: "breaker", provider, model, until, openings, cause } as const;
      table.apply(fact);
      sharing.tell(fact);
    },
    closeBreaker({ provider, model }) {
      if (table.state(provider, model).breakerOpenings === 0) return;
      logger.info({ provider, model }, "breaker closed");
      table.apply({ kind: "breaker", provider, model, until: 0, openings: 0 });
      sharing.takeBack({ kind: "breaker", provider, model, until: 0, openings: 0 });
    },
    async takeProbe({ provider, model }, holdMs) {
      if (table.state(provider, model).probing) return false;
      const probe = { kind: "probe", provider, model, until: Date.now() + holdMs } as const;
      // Before Redis is asked, so that no second call of this process asks it meanwhile.
      table.apply(probe);
      if (!redis.isReady) return true;
      const heldMs = await within(probeCapMs, sharing.takeProbe(probe, holdMs));
      if (heldMs === undefined || heldMs === 0) return true;
      table.apply({ ...probe, until: Date.now() + heldMs });
      return false;
    },
    endProbe({ provider, model }) {
      table.apply({ kind: "probe", provider, model, until: 0 });
      sharing.endProbe({ kind: "probe", provider, model, until: 0 });
    },
    get shared() {
      return sharing.isShared;
    },
    close: () => sharing.close(),
  };
}

/** Workers that find the same fault at the same time count it once; what is long past does not count. */
function nextOpenings({ breakerUntil, breakerOpenings }: TargetState): number {
  const now = Date.now();
  if (breakerUntil > now) return Math.max(1, breakerOpenings);
  return breakerUntil + openingsKeptMs < now ? 1 : breakerOpenings + 1;
}
