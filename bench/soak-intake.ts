/** One batch of 100,000 requests in 200 MB, and the most memory its gateway took. */
import { batchBody, postBatch } from "./batch-client.ts";
import { peakResidentMb } from "./processes.ts";
import { startSluice, type StackOptions } from "./targets.ts";

export interface IntakeFigures {
  readonly status: number;
  readonly megabytes: number;
  readonly seconds: number;
  readonly restMb: number;
  readonly peakMb: number;
  readonly redisMb: number;
}

const itemCount = 100_000;
const bytesPerItem = 2_000;
const words = "the quick brown fox jumps over a lazy dog while seven wizards box and nobody minds it much".split(" ");

/** Words at random, about as compressible as prose. */
export function prose(bytes: number): string {
  let text = "";
  while (text.length < bytes) {
    const word = words[Math.floor(Math.random() * words.length)] ?? "";
    text += Math.random() < 0.1 ? `${Math.random().toString(36).slice(2, 8)} ` : `${word} `;
  }
  return text.slice(0, bytes);
}

export async function measureIntake(options: Pick<StackOptions, "workDir" | "upstreamUrl">): Promise<IntakeFigures> {
  const stack = await startSluice({ ...options, name: "soak-intake", port: 19_960, mode: "always" });
  try {
    const peak = (wanted: string): number =>
      peakResidentMb(stack.processes.find(({ name }) => name === wanted)?.pid ?? 0);
    const restMb = peak("gateway");
    const texts = Array.from({ length: 200 }, () => prose(bytesPerItem));
    const startedAt = performance.now();
    const body = batchBody(itemCount, (index) => `item ${index}: ${texts[index % texts.length]}`);
    const { status, bytes } = await postBatch(stack, body);
    const seconds = (performance.now() - startedAt) / 1000;
    return { status, megabytes: bytes / 1e6, seconds, restMb, peakMb: peak("gateway"), redisMb: peak("redis") };
  } finally {
    await stack.close();
  }
}
