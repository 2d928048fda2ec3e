import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { batchPath, describeCounts, isAllWell, type Batch } from "../batch.ts";
import { textOption, type Command } from "../command.ts";
import { GatewayFailure } from "../gateway-client.ts";

export const batchResults: Command = {
  usage: "batch results ID",
  summary: "write the results of a batch that has ended, one a line",
  help: "With -o FILE into a file, which is there only once it is complete; else to standard output.",
  args: 1,
  options: { output: { type: "string", short: "o" } },
  async run(context) {
    const [id = ""] = context.args;
    const { terminal } = context;
    const client = context.client();
    const batch = await client.get<Batch>(batchPath(id));
    if (batch.processing_status !== "ended")
      throw new GatewayFailure(0, `${id} has not ended yet. Wait for it with:  ${context.self} batch watch ${id}`);
    const results = await client.read(batchPath(id, "/results"));
    const file = textOption(context, "output");
    if (file === undefined) await terminal.pour(results);
    else {
      await save(results, context.path(file), context.signal);
      terminal.note(`${describeCounts(batch.request_counts)}, in ${file}`);
    }
    return isAllWell(batch) ? 0 : 1;
  },
};

async function save(results: AsyncIterable<Uint8Array>, file: string, signal: AbortSignal): Promise<void> {
  const part = `${file}.part`;
  try {
    await pipeline(Readable.from(results), createWriteStream(part), { signal });
    await rename(part, file);
  } catch (reason) {
    await rm(part, { force: true });
    throw reason;
  }
}
