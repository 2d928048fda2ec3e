import { EventStreamCodec, type MessageHeaders } from "@smithy/eventstream-codec";

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes as Uint8Array).toString("utf8"),
  (text) => Buffer.from(text),
);

/** A frame as AWS' own library writes it. */
export function eventFrame(headers: Readonly<Record<string, string>>, payload: string | Buffer): Buffer {
  const named: MessageHeaders = {};
  for (const [name, value] of Object.entries(headers)) named[name] = { type: "string", value };
  return Buffer.from(codec.encode({ headers: named, body: Buffer.from(payload) }));
}

/** The frame in which Bedrock sends one event of a Messages stream. */
export function chunkFrame(event: unknown): Buffer {
  const json = typeof event === "string" ? event : JSON.stringify(event);
  return eventFrame(
    { ":event-type": "chunk", ":content-type": "application/json", ":message-type": "event" },
    JSON.stringify({ bytes: Buffer.from(json).toString("base64"), p: "abcdefgh" }),
  );
}

/** The frame that ends a stream with an exception, named as Bedrock does: `throttlingException`. */
export function exceptionFrame(type: string, message: string): Buffer {
  return eventFrame(
    { ":exception-type": type, ":content-type": "application/json", ":message-type": "exception" },
    JSON.stringify({ message }),
  );
}
