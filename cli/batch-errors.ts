import { batchPath, type Batch } from "./batch.ts";
import type { CommandContext } from "./command.ts";

/** One type of error of a batch's requests. */
interface ErrorCount {
  count: number;
  /** Of the first request that met it. */
  readonly customId: string;
  readonly message: string;
  readonly requestId: string | undefined;
}

const mostTypes = 5;
const longestMessage = 160;

/**
 * Says which errors the requests of an ended batch met, the most frequent first, so that nobody has to read a file of
 * results to learn that a key is wrong. Reads them as they come, up to the last that errored; holds none of them.
 */
export async function noteErrors(
  batch: Batch,
  context: Pick<CommandContext, "client" | "terminal" | "signal">,
): Promise<void> {
  const { errored } = batch.request_counts;
  if (errored === 0) return;
  const { terminal, signal } = context;
  const found = await countErrors(batch, context).catch(() => undefined);
  if (signal.aborted) throw signal.reason;
  if (!found || found.size === 0) return terminal.note("Why cannot be read at the moment: the results say.");
  const sorted = [...found].toSorted(([, one], [, other]) => other.count - one.count);
  for (const [type, { count, customId, message }] of sorted.slice(0, mostTypes))
    terminal.note(`  ${count} x ${type}, the first in ${quote(customId)}: ${quote(message)}`);
  if (sorted.length > mostTypes) terminal.note(`  and ${sorted.length - mostTypes} more types`);
  const traced = await findTraced(
    sorted.map(([, count]) => count),
    context,
  );
  const trace = traced ? `; what happened to ${quote(traced.customId)}: GET ${tracePath(traced)}` : "";
  terminal.note(`Their lines in the results have "type":"errored"${trace}`);
}

/** Each look at a trace that is not there takes the gateway a second. */
const mostLooks = 3;

/**
 * The first of these of which there is a trace: it is kept for an hour, and a request that was refused when the batch was
 * made has none.
 */
async function findTraced(
  counts: readonly ErrorCount[],
  { client, signal }: Pick<CommandContext, "client" | "signal">,
): Promise<ErrorCount | undefined> {
  for (const count of counts.slice(0, mostLooks)) {
    if (count.requestId === undefined) continue;
    const isThere = await client()
      .get(tracePath(count))
      .then(
        () => true,
        () => false,
      );
    if (signal.aborted) throw signal.reason;
    if (isThere) return count;
  }
  return undefined;
}

function tracePath({ requestId = "" }: ErrorCount): string {
  return `/v1/requests/${encodeURIComponent(requestId)}`;
}

async function countErrors(
  { id, request_counts: { errored } }: Batch,
  { client }: Pick<CommandContext, "client">,
): Promise<Map<string, ErrorCount>> {
  const found = new Map<string, ErrorCount>();
  let left = errored;
  for await (const line of linesOf(await client().read(batchPath(id, "/results")))) {
    const error = line.includes('"errored"') ? readError(line) : undefined;
    if (!error) continue;
    const { type, ...first } = error;
    const known = found.get(type);
    if (known) known.count += 1;
    else found.set(type, { count: 1, ...first });
    left -= 1;
    if (left === 0) break;
  }
  return found;
}

/** Not readline, which takes a connection that broke for the end. */
async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

type ReadError = Omit<ErrorCount, "count"> & { readonly type: string };

interface ResultLine {
  readonly custom_id: string;
  readonly result: {
    readonly type: string;
    readonly error?: {
      readonly error?: { readonly type?: string; readonly message?: string };
      readonly request_id?: string;
    };
  };
}

function readError(line: string): ReadError | undefined {
  const { custom_id: customId, result } = JSON.parse(line) as ResultLine;
  if (result.type !== "errored") return undefined;
  const { error, request_id: requestId } = result.error ?? {};
  return { type: error?.type ?? "unknown", customId, message: error?.message ?? "", requestId };
}

/** On one line, and without what a terminal would obey. */
function quote(text: string): string {
  return JSON.stringify(text.length > longestMessage ? `${text.slice(0, longestMessage)}…` : text);
}
