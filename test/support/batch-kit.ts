import { randomBytes } from "node:crypto";
import type { CostEstimate } from "#shared/messages/cost.ts";
import type { EndedItem, BatchStore } from "#shared/store/batch-store.ts";
import type { BatchIntake } from "#shared/store/batch-intake.ts";
import type { BatchRecord } from "#shared/store/batch-record.ts";
import { eventually } from "./eventually.ts";

export interface BatchKit {
  readonly intake: BatchIntake;
  readonly batches: BatchStore;
}

export interface NewTestBatch {
  readonly keyId?: string;
  readonly items: number;
  readonly expiresInMs?: number;
  /** What each item may cost, for a key with a budget. */
  readonly estimate?: CostEstimate;
}

/** Makes a batch whose items say `item 0`, `item 1`, … */
export async function makeBatch({ intake, batches }: BatchKit, options: NewTestBatch): Promise<BatchRecord> {
  const { keyId = "key:test", items, expiresInMs = 600_000, estimate } = options;
  const id = `msgbatch_${randomBytes(12).toString("hex")}`;
  const createdAt = Date.now();
  const open = await intake.begin({
    id,
    keyId,
    headers: { "anthropic-version": "2023-06-01" },
    createdAt,
    expiresAt: createdAt + expiresInMs,
    keepUntil: createdAt + 3_600_000,
    forgetAt: createdAt + 7_200_000,
    mostOpenItems: 1_000_000,
  });
  const head = {
    model: "claude-opus-4-8",
    askedModel: "claude-opus-4-8",
    splices: { model: { start: 9, end: 26 } },
    wishes: {},
    ...(estimate ? { estimate } : undefined),
  };
  for (let at = 0; at < items; at++)
    await open.add({
      entry: { customId: `i${at}`, head },
      params: Buffer.from(`{"model":"claude-opus-4-8","max_tokens":1,"messages":[],"system":"item ${at}"}`),
    });
  await open.commit();
  const batch = await batches.find(keyId, id);
  if (!batch) throw new Error("the batch was not made");
  return batch;
}

export function untilEnded(
  { batches }: BatchKit,
  { id, keyId }: BatchRecord,
  timeoutMs = 20_000,
): Promise<BatchRecord> {
  return eventually(
    async () => {
      const batch = await batches.find(keyId, id);
      if (batch?.state !== "ended") throw new Error(`the batch is ${JSON.stringify(batch)}`);
      return batch;
    },
    { timeoutMs, everyMs: 10 },
  );
}

export async function resultsOf({ batches }: BatchKit, batch: BatchRecord): Promise<EndedItem[]> {
  const ended: EndedItem[] = [];
  for await (const items of batches.results(batch)) ended.push(...items);
  return ended;
}
