import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { GatewayError } from "#shared/messages/error.ts";
import { writeError } from "../answer.ts";

type CallResponse = ServerResponse & { callId?: string };

/** Says whose answer this will be, for a caller that ends its side before it is there. */
export function markCall(response: CallResponse, callId: string): void {
  response.callId = callId;
}

/**
 * A caller that ends its side of the connection leaves: nothing tells one that still reads from one that is gone, and
 * an answer to nobody would be paid for. One that still reads hears so; then Node closes the connection.
 */
export function answerHalfClosed(app: FastifyInstance): void {
  app.server.on("connection", (socket: Socket & { readonly _httpMessage?: CallResponse | null }) => {
    socket.prependListener("end", () => {
      const response = socket._httpMessage;
      if (!response || response.callId === undefined || response.headersSent) return;
      // What is cut off within its body is answered as broken HTTP.
      if (!response.req.complete) return;
      writeError(response, response.callId, new GatewayError("invalid_request", told));
    });
  });
}

const told = "The connection was closed for writing before the answer was there: its caller is taken for gone.";
