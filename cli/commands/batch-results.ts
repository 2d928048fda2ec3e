import { open, rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { batchPath, describeCounts, isAllWell, type Batch } from "../batch.ts";
import { textOption, type Command } from "../command.ts";
import { fileFault } from "../file-fault.ts";
import { GatewayFailure } from "../gateway-client.ts";

export const batchResults: Command = {
  usage: "batch results ID",
  summary: "write the results of a batch that has ended, one a line",
  help: "A file is there only once it is complete. Exit code 1 when a request of the batch has not succeeded.",
  args: 1,
  options: { output: { type: "string", short: "o", takes: "FILE", help: "the file; standard output if absent" } },
  async run(context) {
    const [id = ""] = context.args;
    const { terminal } = context;
    const client = context.client();
    const batch = await client.get<Batch>(batchPath(id));
    if (batch.processing_status !== "ended")
      throw new GatewayFailure(0, `${id} has not ended yet. Wait for it with:  ${context.self} batch watch ${id}`);
    const read = (): Promise<AsyncIterable<Uint8Array>> => client.read(batchPath(id, "/results"));
    const file = textOption(context, "output");
    if (file === undefined) await terminal.pour(await read());
    else {
      await save(read, { file, path: context.path(file), signal: context.signal });
      terminal.note(`${describeCounts(batch.request_counts)}, in ${file}`);
    }
    return isAllWell(batch) ? 0 : 1;
  },
};

interface Place {
  /** As it was named. */
  readonly file: string;
  readonly path: string;
  readonly signal: AbortSignal;
}

/** A place where nothing can be written is found before anything is read. */
async function save(read: () => Promise<AsyncIterable<Uint8Array>>, { file, path, signal }: Place): Promise<void> {
  const part = `${path}.part`;
  const handle = await open(part, "w").catch((cause: unknown) => {
    throw fileFault("write", file, cause);
  });
  try {
    await pipeline(Readable.from(await read()), handle.createWriteStream(), { signal });
    await rename(part, path).catch((cause: unknown) => {
      throw fileFault("write", file, cause);
    });
  } catch (reason) {
    await handle.close();
    await rm(part, { force: true });
    throw reason;
  }
}
