import { endsInHand } from "#shared/messages/canceled-outcome.ts";
import type { CallHead } from "#shared/messages/call.ts";
import type { Bill } from "#shared/messages/cost.ts";
import { waitedMs, type Outcome } from "#shared/messages/outcome.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import type { Hold } from "./budget-store.ts";
import { recordSpend, type SpendStores } from "./record-spend.ts";
import type { TraceStore } from "./trace-store.ts";

/** An asynchronous call at its end. */
export interface EndedJob {
  readonly head: Pick<CallHead, "id" | "keyId" | "operation" | "model" | "acceptedAt" | "notes">;
  readonly outcome: Outcome;
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
  readonly bill: Bill | undefined;
  readonly hold: Hold | undefined;
}

export interface JobEndStores extends SpendStores {
  readonly traces: Pick<TraceStore, "put">;
}

/** Counts a job, settles its budget and keeps its trace; for whoever has recorded its outcome, once. */
export function writeJobEnd({ head, outcome, endedAt, bill, hold }: EndedJob, stores: JobEndStores): void {
  const { id, keyId, operation, model, acceptedAt } = head;
  const { status, code, attempts, waits } = outcome;
  const isFree = code === "cancelled" && bill === undefined && !endsInHand(outcome);
  recordSpend({ head, facts: outcome, endedAt, bill, hold, isFree }, stores);
  stores.traces.put({
    id,
    requestId: outcome.headers["request-id"] ?? id,
    keyId,
    operation,
    stream: false,
    model,
    status,
    code,
    attempts,
    waits,
    notes: [...(head.notes ?? []), ...outcome.notes],
    acceptedAt,
    endedAt,
    queueMs: waitedMs(waits),
    ...(outcome.provider === undefined ? {} : { provider: outcome.provider }),
    ...(outcome.usage === undefined ? {} : { usage: outcome.usage }),
    ...(bill === undefined ? {} : { cost: bill.cost }),
  });
  metrics.jobsTotal.inc({ operation, model, code });
}
