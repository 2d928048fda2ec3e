/** Gathers an answer's bytes up to a limit. */
export interface BodyCollector {
  /** False when the answer has become too large; it is not kept then. */
  add(chunk: Buffer): boolean;
  take(): Buffer;
}

export function createBodyCollector(maxBytes: number): BodyCollector {
  let chunks: Buffer[] = [];
  let bytes = 0;
  return {
    add: (chunk) => {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        chunks = [];
        return false;
      }
      chunks.push(chunk);
      return true;
    },
    take: () => {
      const only = chunks[0];
      return chunks.length === 1 && only ? only : Buffer.concat(chunks, bytes);
    },
  };
}
