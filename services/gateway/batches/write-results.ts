import type { ServerResponse } from "node:http";
import { resultLine } from "#shared/messages/batch-result.ts";
import type { EndedItem } from "#shared/store/batch-store.ts";

/**
 * Writes results as JSONL, no faster than the caller reads. Rejects before anything was written if nothing can be read;
 * later a failure cuts the connection, so that no client takes a part for the whole.
 */
export async function writeResults(
  response: ServerResponse,
  callId: string,
  results: AsyncIterable<readonly EndedItem[]>,
): Promise<void> {
  try {
    for await (const items of results) {
      if (response.destroyed) return;
      if (!response.headersSent) writeHead(response, callId);
      const lines = Buffer.concat(items.map((item) => resultLine(item.customId, item)));
      if (!response.write(lines)) await drained(response);
    }
    response.end();
  } catch (reason) {
    if (!response.headersSent) throw reason;
    response.destroy();
  }
}

function writeHead(response: ServerResponse, callId: string): void {
  response.writeHead(200, {
    "content-type": "application/x-jsonl",
    "request-id": callId,
    "x-sluice-request-id": callId,
  });
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
    if (response.destroyed) done();
  });
}
