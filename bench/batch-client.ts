/** What the soak asks of a gateway's batches, however often it has to ask. */
import { request } from "node:http";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

export interface Caller {
  readonly url: string;
  readonly key: string;
}

interface Counts {
  readonly processing: number;
  readonly succeeded: number;
  readonly errored: number;
  readonly canceled: number;
  readonly expired: number;
}

export interface ShownBatch {
  readonly id: string;
  readonly processing_status: "in_progress" | "canceling" | "ended";
  readonly request_counts: Counts;
  readonly progress: Counts & { readonly rerun: number };
}

interface Posted {
  readonly status: number;
  readonly batch: ShownBatch;
  readonly bytes: number;
}

const path = "/v1/messages/batches";
const headersOf = ({ key }: Caller): Record<string, string> => ({
  "x-api-key": key,
  "content-type": "application/json",
  "anthropic-version": "2023-06-01",
});

/** A batch whose requests say `prompt(index)`, in pieces that are made as they are sent. */
export function* batchBody(items: number, prompt: (index: number) => string): Generator<string> {
  for (let index = 0; index < items; index += 1) {
    const params = { model: "claude-bench", max_tokens: 100, messages: [{ role: "user", content: prompt(index) }] };
    yield `${index === 0 ? '{"requests":[' : ","}${JSON.stringify({ custom_id: `item-${index}`, params })}`;
  }
  yield "]}";
}

export async function postBatch(caller: Caller, body: Iterable<string>): Promise<Posted> {
  let bytes = 0;
  const outgoing = request(caller.url + path, { method: "POST", headers: headersOf(caller) });
  const answer = new Promise<{ status: number; batch: ShownBatch }>((resolve, reject) => {
    outgoing.once("error", reject);
    outgoing.once("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("end", () => {
        const batch = JSON.parse(Buffer.concat(chunks).toString()) as ShownBatch;
        resolve({ status: response.statusCode ?? 0, batch });
      });
    });
  });
  for (const piece of body) {
    bytes += Buffer.byteLength(piece);
    if (!outgoing.write(piece)) await new Promise<void>((resolve) => outgoing.once("drain", resolve));
  }
  outgoing.end();
  return { ...(await answer), bytes };
}

/** Undefined while the gateway or its Redis is away. */
export async function readBatch(caller: Caller, id: string): Promise<ShownBatch | undefined> {
  try {
    const response = await fetch(`${caller.url}${path}/${id}`, { headers: headersOf(caller) });
    const json = await response.json();
    return response.ok ? (json as ShownBatch) : undefined;
  } catch {
    return undefined;
  }
}

export async function cancelBatch(caller: Caller, id: string): Promise<void> {
  await fetch(`${caller.url}${path}/${id}/cancel`, { method: "POST", headers: headersOf(caller), body: "{}" });
}

export async function untilEnded(
  caller: Caller,
  id: string,
  options: { readonly timeoutMs: number; readonly onLook?: (batch: ShownBatch) => void },
): Promise<ShownBatch> {
  const until = performance.now() + options.timeoutMs;
  while (performance.now() < until) {
    const batch = await readBatch(caller, id);
    if (batch) options.onLook?.(batch);
    if (batch?.processing_status === "ended") return batch;
    await sleep(100);
  }
  throw new Error(`batch ${id} has not ended after ${options.timeoutMs / 1000} s`);
}

/** How often each custom_id has a result, and how many of them succeeded. */
export async function countResults(
  caller: Caller,
  id: string,
): Promise<{ readonly lines: number; readonly ids: number; readonly succeeded: number }> {
  const response = await fetch(`${caller.url}${path}/${id}/results`, { headers: headersOf(caller) });
  if (!response.ok || !response.body) throw new Error(`results: ${response.status}`);
  const ids = new Set<string>();
  let [lines, succeeded] = [0, 0];
  for await (const line of createInterface({ input: Readable.fromWeb(response.body) })) {
    const { custom_id: customId, result } = JSON.parse(line) as { custom_id: string; result: { type: string } };
    ids.add(customId);
    lines += 1;
    if (result.type === "succeeded") succeeded += 1;
  }
  return { lines, ids: ids.size, succeeded };
}
