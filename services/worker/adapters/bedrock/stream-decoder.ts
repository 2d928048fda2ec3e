import { encodeSseEvent } from "#shared/messages/sse.ts";
import type { StreamDecoder } from "../adapter.ts";
import { brokenFrameMessage, type FrameFault } from "./broken-frame.ts";
import { callerWords, meaningOf } from "./exceptions.ts";
import { createFrameReader, type Frame } from "./frame-reader.ts";

/** Frames to Messages events: each chunk frame carries one event's JSON, whose bytes are kept. */
export function createStreamDecoder(): StreamDecoder {
  return new EventStreamDecoder();
}

/** States: reading frames → over, after an exception or a fault. */
class EventStreamDecoder implements StreamDecoder {
  readonly #reader = createFrameReader();
  #isOver = false;

  push(chunk: Buffer): Buffer | undefined {
    if (this.#isOver) return undefined;
    const events: Buffer[] = [];
    for (const frame of this.#reader.push(chunk)) {
      if (!this.#isOver) this.#decode(frame, events);
    }
    const { fault } = this.#reader;
    if (fault !== undefined && !this.#isOver) events.push(this.#broken(fault));
    return events.length <= 1 ? events[0] : Buffer.concat(events);
  }

  end(): Buffer | undefined {
    return this.#isOver || !this.#reader.isInside ? undefined : this.#broken("truncated frame");
  }

  #decode({ headers, payload }: Frame, events: Buffer[]): void {
    const kind = headers.get(":message-type");
    if (kind === "event") {
      if (headers.get(":event-type") !== "chunk") return;
      const event = readChunk(payload);
      if (event === undefined) events.push(this.#broken("a frame's payload that cannot be read"));
      else pushEvent(event, events);
    } else if (kind === "exception")
      events.push(this.#exception(headers.get(":exception-type") ?? "", messageOf(payload)));
    else if (kind === "error")
      events.push(this.#exception(headers.get(":error-code") ?? "", headers.get(":error-message") ?? ""));
  }

  #exception(name: string, message: string): Buffer {
    this.#isOver = true;
    const type = meaningOf(name)?.type ?? "api_error";
    return encodeSseEvent("error", { type: "error", error: { type, message: callerWords(type, message) } });
  }

  #broken(fault: FrameFault): Buffer {
    this.#isOver = true;
    return encodeSseEvent("error", { type: "error", error: { type: "api_error", message: brokenFrameMessage(fault) } });
  }
}

/** The JSON of the event in a chunk frame's payload. */
function readChunk(payload: Buffer): Buffer | undefined {
  try {
    const { bytes } = JSON.parse(payload.toString("utf8")) as { readonly bytes?: unknown };
    return typeof bytes === "string" ? Buffer.from(bytes, "base64") : undefined;
  } catch {
    return undefined;
  }
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const dataLine = Buffer.from("\ndata: ");
const border = Buffer.from("\n\n");

/** The event as SSE. One without a usable type has no name to go by; it is left out, as the official client does. */
function pushEvent(json: Buffer, events: Buffer[]): void {
  const type = typeOf(json);
  if (type === undefined) return;
  const isOneLine = !json.includes(lineFeed) && !json.includes(carriageReturn);
  const bytes = type === "message_stop" || !isOneLine ? reprint(json) : json;
  events.push(Buffer.from(`event: ${type}`), dataLine, bytes, border);
}

const typeFirst = /^\{"type":"([a-z_]{1,64})"/;

/** Every event is written with its type in front; of one that is not, all is read. */
function typeOf(json: Buffer): string | undefined {
  const found = typeFirst.exec(json.toString("latin1", 0, 80))?.[1];
  if (found !== undefined) return found;
  try {
    const { type } = JSON.parse(json.toString("utf8")) as { readonly type?: unknown };
    return typeof type === "string" && /^[a-z_]{1,64}$/.test(type) ? type : undefined;
  } catch {
    return undefined;
  }
}

/** Without what Bedrock adds to `message_stop`, and on one line. */
function reprint(json: Buffer): Buffer {
  const { "amazon-bedrock-invocationMetrics": _, ...event } = JSON.parse(json.toString("utf8")) as Record<
    string,
    unknown
  >;
  return Buffer.from(JSON.stringify(event));
}

function messageOf(payload: Buffer): string {
  try {
    const { message, Message } = JSON.parse(payload.toString("utf8")) as Record<string, unknown>;
    return typeof message === "string" ? message : typeof Message === "string" ? Message : "";
  } catch {
    return "";
  }
}
