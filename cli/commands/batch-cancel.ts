import { batchPath, countsOf, describeCounts, type Batch } from "../batch.ts";
import type { Command } from "../command.ts";

export const batchCancel: Command = {
  usage: "batch cancel ID",
  summary: "cancel a batch; what has been answered stays",
  args: 1,
  async run({ args: [id = ""], client, terminal, self }) {
    const batch = await client().post<Batch>(batchPath(id, "/cancel"));
    const isOver = batch.processing_status === "ended";
    terminal.note(`${id} ${isOver ? "has ended" : "is being canceled"}: ${describeCounts(countsOf(batch))}.`);
    if (!isOver) terminal.note(`See it end with:  ${self} batch watch ${id}`);
    return 0;
  },
};
