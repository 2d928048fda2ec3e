import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { errorEnvelope, errorHeaders, type GatewayError } from "#shared/messages/error.ts";

/** A whole answer; `content-length` and the two ids are added when it is written. */
export interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer | string;
}

/** Bytes of a refused body that the connection is kept for: below, Node reads them past and the connection goes on. */
const smallRestBytes = 65_536;
const lingerMs = 2000;
const lingerBytes = 16_777_216;

/**
 * Writes a whole answer. `request-id` is the answer's own if it has one, else the call's; `x-sluice-request-id` is
 * always the call's. A caller that left is written nothing.
 */
export function writeAnswer(response: ServerResponse, callId: string, answer: Answer): void {
  if (response.headersSent || response.destroyed) return;
  const { headers, body } = answer;
  headers["request-id"] ??= callId;
  headers["x-sluice-request-id"] = callId;
  headers["content-length"] = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  if (holdsUnreadBody(response.req, answer.status)) {
    closeAfterAnswer(response, answer);
    return;
  }
  response.writeHead(answer.status, headers);
  response.end(body);
}

export function writeJson(response: ServerResponse, callId: string, value: unknown): void {
  writeAnswer(response, callId, {
    status: 200,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(value),
  });
}

export function writeError(response: ServerResponse, callId: string, error: GatewayError): void {
  writeAnswer(response, callId, errorAnswer(error, callId));
}

function errorAnswer(error: GatewayError, callId: string): Answer {
  return {
    status: error.status,
    headers: { "content-type": "application/json", ...errorHeaders(error) },
    body: JSON.stringify(errorEnvelope(error, callId)),
  };
}

function holdsUnreadBody(request: IncomingMessage, status: number): boolean {
  if (request.complete) return false;
  // The rest of a body that came too slowly is not waited for.
  if (status === 408) return true;
  const { "content-length": length, "transfer-encoding": encoding, expect } = request.headers;
  if (encoding !== undefined || expect !== undefined) return true;
  return length !== undefined && Number(length) > smallRestBytes;
}

/**
 * Answers a request whose body is still coming, and closes the connection. The answer is complete for the caller at
 * once, but the socket stays a moment and what still comes is thrown away: closing a socket with unread bytes resets
 * it, and the caller would see the reset in place of the answer.
 */
function closeAfterAnswer(response: ServerResponse, answer: Answer): void {
  const request = response.req;
  response.writeHead(answer.status, { ...answer.headers, connection: "close" });
  response.write(answer.body);
  let left = lingerBytes;
  const close = (): void => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(close, lingerMs);
  request.once("end", close).once("close", close);
  request.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) close();
  });
  request.resume();
}
