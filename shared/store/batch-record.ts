import type { ForwardedHeaders } from "#shared/messages/call.ts";
import type { ItemEnd } from "#shared/messages/batch-result.ts";

export type BatchState = "in_progress" | "canceling" | "ended";

/** A batch as it is stored. Times are milliseconds since the epoch. */
export interface BatchRecord {
  readonly id: string;
  readonly keyId: string;
  readonly state: BatchState;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Until when its results can be read. */
  readonly keepUntil: number;
  readonly endedAt?: number;
  readonly cancelledAt?: number;
  readonly total: number;
  /** Items that have ended so far, by how. */
  readonly ends: Readonly<Record<ItemEnd, number>>;
  /** Items of which a provider was asked a second time, because the first time it never answered. */
  readonly rerun: number;
  /** The items from `from` on that never ran, and what became of them. */
  readonly rest?: { readonly from: number; readonly end: "canceled" | "expired" };
  /** What the items' calls are made with: those of the call that made the batch. */
  readonly headers: ForwardedHeaders;
}

/** From the fields of the hash; undefined when it is gone. */
export function readBatchRecord(id: string, fields: Readonly<Record<string, string>>): BatchRecord | undefined {
  const { key, state, ended, cancelled, rest, headers } = fields;
  if (key === undefined || state === undefined) return undefined;
  const count = (name: string): number => Number(fields[name] ?? 0);
  return {
    id,
    keyId: key,
    state: state as BatchState,
    createdAt: count("created"),
    expiresAt: count("expires"),
    keepUntil: count("keep"),
    ...(ended === undefined ? undefined : { endedAt: Number(ended) }),
    ...(cancelled === undefined ? undefined : { cancelledAt: Number(cancelled) }),
    total: count("total"),
    ends: {
      succeeded: count("succeeded"),
      errored: count("errored"),
      canceled: count("canceled"),
      expired: count("expired"),
    },
    rerun: count("rerun"),
    ...(rest === undefined ? undefined : { rest: { from: count("rest_from"), end: rest as "canceled" | "expired" } }),
    // Our own JSON, written when the batch was made.
    headers: JSON.parse(headers ?? "{}") as ForwardedHeaders,
  };
}

export function pendingItems({ total, ends }: BatchRecord): number {
  return total - ends.succeeded - ends.errored - ends.canceled - ends.expired;
}
