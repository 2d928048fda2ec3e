import { setTimeout as sleep } from "node:timers/promises";
import { batchPath, describeCounts, isAllWell, type Batch } from "../batch.ts";
import { noteErrors } from "../batch-errors.ts";
import type { Command, CommandContext } from "../command.ts";
import { createProgress } from "../progress.ts";

export const batchWatch: Command = {
  usage: "batch watch ID",
  summary: "show how far a batch is, until it has ended",
  args: 1,
  run: (context) => watchBatch(context.args[0] ?? "", context),
};

/** Resolves when the batch has ended; 0 if each of its requests succeeded. Whoever stops it leaves the batch running. */
export async function watchBatch(id: string, context: CommandContext): Promise<number> {
  const { terminal, signal, self } = context;
  const onInterrupt = (): void =>
    terminal.note(
      `The batch goes on. Come back with:  ${self} batch watch ${id}\nCancel it with:  ${self} batch cancel ${id}`,
    );
  signal.addEventListener("abort", onInterrupt, { once: true });
  try {
    const batch = await untilEnded(id, context);
    terminal.note(`${id} has ended: ${describeCounts(batch.request_counts)}.`);
    await noteErrors(batch, context);
    terminal.note(`Results:  ${self} batch results ${id} -o results.jsonl`);
    return isAllWell(batch) ? 0 : 1;
  } finally {
    signal.removeEventListener("abort", onInterrupt);
  }
}

async function untilEnded(id: string, context: CommandContext): Promise<Batch> {
  const progress = createProgress(context.terminal);
  const client = context.client();
  for (;;) {
    const batch = await client.get<Batch>(batchPath(id));
    if (batch.processing_status === "ended") return batch;
    progress.show(batch, Date.now());
    await sleep(context.pollMs, undefined, { signal: context.signal });
  }
}
