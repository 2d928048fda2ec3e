import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { batchesPath, countsOf, totalOf, type Batch } from "../batch.ts";
import { batchBody } from "../batch-body.ts";
import { textOption, type Command, type CommandContext } from "../command.ts";
import { fileFault } from "../file-fault.ts";
import { readRequests, type PromptDefaults } from "../read-requests.ts";
import { UsageError } from "../usage-error.ts";
import { watchBatch } from "./batch-watch.ts";

export const batchSubmit: Command = {
  usage: "batch submit FILE",
  summary: "make a batch from a file of requests, and watch it",
  help: `FILE has one request a line, - is standard input. A line is Anthropic's own

  {"custom_id": "a", "params": {"model": "claude-sonnet-5-5", "max_tokens": 100, "messages": [...]}}

or, with --model and --max-tokens, a plain prompt

  {"custom_id": "a", "prompt": "Say hello."}

The batch's id is written to standard output as soon as it is known.`,
  args: 1,
  options: {
    model: { type: "string", takes: "MODEL", help: "for lines that are plain prompts" },
    "max-tokens": { type: "string", takes: "NUMBER", help: "for lines that are plain prompts" },
    "no-watch": { type: "boolean", help: "end as soon as the batch is accepted" },
  },
  async run(context) {
    const { terminal } = context;
    const batch = await submit(context);
    terminal.out(`${batch.id}\n`);
    terminal.note(describeAccepted(batch));
    if (context.values["no-watch"] === true) return 0;
    return watchBatch(batch.id, context);
  },
};

/** Requests that could never run have their end from the start. */
function describeAccepted(batch: Batch): string {
  const { total } = totalOf(batch.request_counts);
  const { errored } = countsOf(batch);
  if (total === 1) return errored === 0 ? "One request accepted." : "One request accepted, which errored at once.";
  return `${total} requests accepted${errored === 0 ? "" : `, of which ${errored} errored at once`}.`;
}

async function submit(context: CommandContext): Promise<Batch> {
  const [file = "-"] = context.args;
  // A fault in the last line is found before the first one is sent; what comes through a pipe is read once only.
  const total = file === "-" ? undefined : await countRequests(file, context);
  const body = batchBody(readRequests(openFile(file, context), readDefaults(context)), (sent) =>
    context.terminal.redraw(total === undefined ? `Sent ${sent} requests` : `Sent ${sent} of ${total} requests`),
  );
  const { signal, terminal } = context;
  const onInterrupt = (): void => terminal.note("Stopped before the gateway had accepted the batch.");
  signal.addEventListener("abort", onInterrupt, { once: true });
  try {
    return await context.client().post<Batch>(batchesPath, body);
  } finally {
    signal.removeEventListener("abort", onInterrupt);
  }
}

function readDefaults(context: CommandContext): PromptDefaults {
  const maxTokens = textOption(context, "max-tokens");
  if (maxTokens !== undefined && !/^[1-9]\d{0,8}$/.test(maxTokens))
    throw new UsageError(`--max-tokens takes a whole number, not "${maxTokens}"`);
  return { model: textOption(context, "model"), maxTokens: maxTokens === undefined ? undefined : Number(maxTokens) };
}

function openFile(file: string, context: CommandContext): Readable {
  return file === "-" ? Readable.from(context.stdin) : createReadStream(context.path(file));
}

async function countRequests(file: string, context: CommandContext): Promise<number> {
  let count = 0;
  try {
    for await (const _ of readRequests(openFile(file, context), readDefaults(context))) count += 1;
  } catch (cause) {
    throw fileFault("read", file, cause);
  }
  return count;
}
