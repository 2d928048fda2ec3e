import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { errorEnvelope, GatewayError, toGatewayError, type ErrorCode } from "#shared/messages/error.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { writeError } from "../answer.ts";
import { newCallId } from "../call/call-id.ts";

/** Every failure outside a call, in Anthropic's envelope: unknown paths, what Fastify throws, what our own code lets slip. */
export function registerErrors(app: FastifyInstance, logger: Logger): void {
  app.setErrorHandler((reason: unknown, request, reply) => {
    const error = fromFastify(reason);
    if (error.code === "internal") logger.error({ err: reason, callId: request.id }, "a request failed");
    sendError(request, reply, error);
  });
  app.setNotFoundHandler((request, reply) => {
    const isKnown = app.supportedMethods.includes(request.method);
    sendError(request, reply, isKnown ? unknownPath(request) : wrongMethod(request, []));
  });
}

export function sendError(request: FastifyRequest, reply: FastifyReply, error: GatewayError): void {
  reply.hijack();
  writeError(reply.raw, request.id, error);
}

export function unknownPath(request: FastifyRequest): GatewayError {
  const path = request.url.split("?", 1)[0] ?? "";
  const wayOut = "calls go to POST /v1/messages, and GET / lists what else there is";
  return new GatewayError("not_found", `${request.method} ${path.slice(0, 200)} is not served here: ${wayOut}.`);
}

/** `allowed`: the methods that are possible at the path; empty for a method that is possible nowhere. */
export function wrongMethod({ method }: FastifyRequest, allowed: readonly string[]): GatewayError {
  const others = `, but ${allowed.join(", ")} ${allowed.length === 1 ? "is" : "are"}`;
  return new GatewayError("method_not_allowed", `${method} is not possible here${allowed.length === 0 ? "" : others}.`);
}

const codeOfStatus: Readonly<Record<number, ErrorCode>> = {
  400: "invalid_request",
  404: "not_found",
  408: "request_timeout",
  413: "request_too_large",
  414: "invalid_request",
  415: "invalid_request",
};

function fromFastify(reason: unknown): GatewayError {
  if (!(reason instanceof Error) || reason instanceof GatewayError) return toGatewayError(reason);
  const status = (reason as Partial<FastifyError>).statusCode;
  const code = status === undefined ? undefined : codeOfStatus[status];
  return code === undefined ? toGatewayError(reason) : new GatewayError(code, reason.message, { cause: reason });
}

const parserAnswers: Readonly<Record<string, readonly [status: string, code: ErrorCode, message: string]>> = {
  HPE_HEADER_OVERFLOW: [
    "431 Request Header Fields Too Large",
    "invalid_request",
    "The request's headers are too large.",
  ],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "request_timeout", "The request came too slowly."],
};

/** What is not HTTP never becomes a request; it gets its envelope by hand, and the socket is closed. */
export function answerBrokenHttp(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable || isMidAnswer(socket)) {
    socket.destroy();
    return;
  }
  const known = parserAnswers[error.code ?? ""];
  const [status, code, message] = known ?? ["400 Bad Request", "invalid_request", "The request is not valid HTTP."];
  const id = newCallId();
  const body = JSON.stringify(errorEnvelope(new GatewayError(code, message), id));
  const head = [
    `HTTP/1.1 ${status}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    `request-id: ${id}`,
    `x-sluice-request-id: ${id}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroySoon());
}

/** Nothing can be said in the middle of another answer. Node's own handler asks the same member. */
function isMidAnswer(socket: Socket & { readonly _httpMessage?: ServerResponse | null }): boolean {
  return socket._httpMessage?.headersSent ?? false;
}
