import type { IncomingMessage } from "node:http";

/** Collects a request's body. Calls back with undefined when it is larger than allowed; never when it is cut off. */
export function readBody(request: IncomingMessage, maxBytes: number, then: (body: Buffer | undefined) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= maxBytes) chunks.push(chunk);
    else chunks.length = 0;
  });
  request.once("end", () => then(size > maxBytes ? undefined : Buffer.concat(chunks, size)));
  request.once("error", () => {
    chunks.length = 0;
  });
}
