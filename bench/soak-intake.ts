/** One batch of 100,000 requests in 200 MB, and the most memory the gateway took for it. */
import { request } from "node:http";
import { peakResidentMb } from "./processes.ts";
import { startSluice, type StackOptions } from "./targets.ts";

export interface IntakeFigures {
  readonly megabytes: number;
  readonly items: number;
  readonly seconds: number;
  readonly status: number;
  readonly gatewayBeforeMb: number;
  readonly gatewayPeakMb: number;
  readonly redisMb: number;
}

const itemCount = 100_000;
const bytesPerItem = 2_000;
const words = "the quick brown fox jumps over a lazy dog while seven wizards box and nobody minds it much".split(" ");

/** Prompts of words at random, about as compressible as prose. */
function prose(bytes: number): string {
  let text = "";
  while (text.length < bytes)
    text += `${words[Math.floor(Math.random() * words.length)]}${Math.random() < 0.1 ? Math.random().toString(36).slice(2, 8) : ""} `;
  return text.slice(0, bytes);
}

/** The body in pieces, made as it is sent. */
export function* batchBody(items: number, bytesPer: number): Generator<string> {
  const texts = Array.from({ length: 200 }, () => prose(bytesPer));
  for (let index = 0; index < items; index += 1) {
    const head = index === 0 ? '{"requests":[' : ",";
    const prompt = `item ${index}: ${texts[index % texts.length]}`;
    const params = { model: "claude-bench", max_tokens: 100, messages: [{ role: "user", content: prompt }] };
    yield `${head}${JSON.stringify({ custom_id: `item-${index}`, params })}`;
  }
  yield "]}";
}

export async function postBatch(
  target: { readonly url: string; readonly key: string },
  body: Iterable<string>,
): Promise<{ readonly status: number; readonly json: unknown; readonly bytes: number }> {
  let bytes = 0;
  const headers = { "x-api-key": target.key, "content-type": "application/json", "anthropic-version": "2023-06-01" };
  const outgoing = request(`${target.url}/v1/messages/batches`, { method: "POST", headers });
  const answer = new Promise<{ status: number; json: unknown }>((resolve, reject) => {
    outgoing.once("error", reject);
    outgoing.once("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("end", () =>
        resolve({ status: response.statusCode ?? 0, json: JSON.parse(Buffer.concat(chunks).toString()) }),
      );
    });
  });
  for (const piece of body) {
    bytes += Buffer.byteLength(piece);
    if (!outgoing.write(piece)) await new Promise<void>((resolve) => outgoing.once("drain", resolve));
  }
  outgoing.end();
  return { ...(await answer), bytes };
}

export async function measureIntake(options: Pick<StackOptions, "workDir" | "upstreamUrl">): Promise<IntakeFigures> {
  const stack = await startSluice({ ...options, name: "soak-intake", port: 19_960, mode: "when_waiting" });
  try {
    const gateway = stack.processes.find(({ name }) => name === "gateway")?.pid ?? 0;
    const redis = stack.processes.find(({ name }) => name === "redis")?.pid ?? 0;
    const gatewayBeforeMb = peakResidentMb(gateway);
    const startedAt = performance.now();
    const { status, bytes } = await postBatch(stack, batchBody(itemCount, bytesPerItem));
    return {
      megabytes: bytes / 1e6,
      items: itemCount,
      seconds: (performance.now() - startedAt) / 1000,
      status,
      gatewayBeforeMb,
      gatewayPeakMb: peakResidentMb(gateway),
      redisMb: peakResidentMb(redis),
    };
  } finally {
    await stack.close();
  }
}
