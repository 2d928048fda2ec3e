import { constants, zstdCompress, zstdCompressSync, zstdDecompressSync, type ZstdOptions } from "node:zlib";
import type { CallHead } from "#shared/messages/call.ts";
import type { CostEstimate } from "#shared/messages/cost.ts";
import { itemEnds, type ItemResult } from "#shared/messages/batch-result.ts";
import type { Sealer } from "./sealer.ts";

/** Compresses what batches keep in Redis and encrypts it if there is a key. `place` is bound to the bytes. */
export interface BatchCodec {
  pack(bytes: Buffer, place: string): Buffer | Promise<Buffer>;
  packNow(bytes: Buffer, place: string): Buffer;
  /** Throws on damaged bytes. */
  unpack(packed: Buffer, place: string): Buffer;
}

/** Above this the event loop would stand still for more than a millisecond. */
const mostAtOnceBytes = 131_072;
const leastChunkBytes = 64;
const mostChunkBytes = 65_536;

export function createBatchCodec(sealer: Sealer | undefined): BatchCodec {
  const seal = (bytes: Buffer, place: string): Buffer => (sealer ? sealer.seal(bytes, place) : bytes);
  const packNow = (bytes: Buffer, place: string): Buffer =>
    seal(zstdCompressSync(bytes, optionsFor(bytes.length)), place);
  return {
    packNow,
    pack: (bytes, place) =>
      bytes.length <= mostAtOnceBytes ? packNow(bytes, place) : compress(bytes).then((packed) => seal(packed, place)),
    unpack: (packed, place) => zstdDecompressSync(sealer ? sealer.open(packed, place) : packed),
  };
}

/** Level 1 takes half the time of the default and gives as much on prompts. */
function optionsFor(pledgedSrcSize: number): ZstdOptions {
  // What a call allocates for its output stays until the next full collection. The default is 16 KiB; prompts shrink to
  // less than half, and what does not fit takes a second piece.
  const chunkSize = Math.min(mostChunkBytes, leastChunkBytes + (pledgedSrcSize >> 1));
  return { params: { [constants.ZSTD_c_compressionLevel]: 1 }, pledgedSrcSize, chunkSize };
}

function compress(bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    zstdCompress(bytes, optionsFor(bytes.length), (error, packed) => (error ? reject(error) : resolve(packed)));
  });
}

/** What is known of an item besides its body: enough to run it and to write its results line. */
export interface ItemEntry {
  readonly customId: string;
  /** Absent for an item that was found wanting when the batch was made; its result is there already. */
  readonly head?: ItemHead;
}

export interface ItemHead extends Pick<
  CallHead,
  "model" | "askedModel" | "splices" | "wishes" | "affinity" | "container"
> {
  /** At the list price, if its key had a budget when the batch was made. */
  readonly estimate?: CostEstimate;
}

/** Items of one chunk of the index. */
export const chunkItems = 64;

export function encodeEntries(entries: readonly ItemEntry[]): Buffer {
  return Buffer.from(JSON.stringify(entries));
}

/** Our own JSON, written by `encodeEntries`. */
export function decodeEntries(bytes: Buffer): readonly ItemEntry[] {
  return JSON.parse(bytes.toString()) as readonly ItemEntry[];
}

/** A stored result: one byte that says how the item ended, then the payload, packed. */
export function encodeResult({ end, payload }: ItemResult, place: string, codec: BatchCodec): Buffer {
  const mark = Buffer.from([itemEnds.indexOf(end)]);
  return payload.length === 0 ? mark : Buffer.concat([mark, codec.packNow(payload, place)]);
}

export function decodeResult(stored: Buffer, place: string, codec: BatchCodec): ItemResult {
  const end = itemEnds[stored[0] ?? -1];
  if (end === undefined) throw new Error("stored result is damaged");
  return { end, payload: stored.length === 1 ? Buffer.alloc(0) : codec.unpack(stored.subarray(1), place) };
}
