import { makeId } from "../../answer/ids.ts";
import type { Dialect } from "../anthropic/dialect.ts";
import { eventFrame } from "./event-frame.ts";
import { asObject, type Json } from "../json.ts";

/** Status and name of the exception that stands for a status of the Messages API. */
const exceptions: Readonly<Record<number, readonly [number, string]>> = {
  400: [400, "ValidationException"],
  401: [403, "UnrecognizedClientException"],
  402: [403, "AccessDeniedException"],
  403: [403, "AccessDeniedException"],
  404: [404, "ResourceNotFoundException"],
  408: [408, "ModelTimeoutException"],
  409: [400, "ConflictException"],
  413: [400, "ValidationException"],
  429: [429, "ThrottlingException"],
  503: [503, "ServiceUnavailableException"],
  504: [408, "ModelTimeoutException"],
  529: [503, "ServiceUnavailableException"],
};

/** What an `error` event is inside a stream. */
const streamExceptions: Readonly<Record<string, string>> = {
  invalid_request_error: "validationException",
  rate_limit_error: "throttlingException",
  overloaded_error: "serviceUnavailableException",
  timeout_error: "modelTimeoutException",
};

export const bedrockDialect: Dialect = {
  headers: () => ({ "x-amzn-requestid": makeId("sim") }),
  hints: false,
  error(status, { message }) {
    const [sent, name] = exceptions[status] ?? [500, "InternalServerException"];
    return awsError(sent, name, message);
  },
  count: (inputTokens) => ({ inputTokens }),
  streamType: "application/vnd.amazon.eventstream",
  encoding: "latin1",
  frame: (event) => encodeEvent(JSON.parse(event.slice(event.indexOf("data: ") + 6)) as Json).toString("latin1"),
};

export function awsError(status: number, name: string, message: string): ReturnType<Dialect["error"]> {
  return {
    status,
    headers: { "content-type": "application/json", "x-amzn-errortype": `${name}:http://internal.amazon.com/coral/` },
    body: JSON.stringify({ message }),
  };
}

function encodeEvent(event: Json): Buffer {
  if (event["type"] === "error") {
    const { type, message } = asObject(event["error"]);
    return eventFrame(
      {
        ":exception-type": streamExceptions[String(type)] ?? "internalServerException",
        ":content-type": "application/json",
        ":message-type": "exception",
      },
      JSON.stringify({ message }),
    );
  }
  const sent = event["type"] === "message_stop" ? { ...event, "amazon-bedrock-invocationMetrics": metrics } : event;
  const bytes = Buffer.from(JSON.stringify(sent)).toString("base64");
  return eventFrame(
    { ":event-type": "chunk", ":content-type": "application/json", ":message-type": "event" },
    JSON.stringify({ bytes, p: "abcdefghijklmnop".slice(0, bytes.length % 16) }),
  );
}

const metrics = { inputTokenCount: 1, outputTokenCount: 1, invocationLatency: 100, firstByteLatency: 10 };
