import type { Redis } from "ioredis";
import { createTurnBatch } from "#shared/runtime/turn-batch.ts";

/** Reads several keys; null for one that is not there. The reads of one event-loop turn are one MGET. */
export type TurnReader = (keys: readonly string[]) => Promise<(Buffer | null)[]>;

interface Read {
  readonly keys: readonly string[];
  resolve(values: (Buffer | null)[]): void;
  reject(error: Error): void;
}

const mostReads = 256;

export function createTurnReader(client: Redis): TurnReader {
  function flush(reads: Read[]): void {
    client.mgetBuffer(reads.flatMap((read) => read.keys)).then(
      (values) => {
        let at = 0;
        for (const read of reads) read.resolve(values.slice(at, (at += read.keys.length)));
      },
      (error: Error) => {
        for (const read of reads) read.reject(error);
      },
    );
  }
  const batch = createTurnBatch<Read>(flush, mostReads);
  return (keys) => new Promise((resolve, reject) => batch.add({ keys, resolve, reject }));
}
