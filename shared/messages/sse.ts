import { LineSplitter, type Line } from "./line-splitter.ts";

export interface SseEvent {
  /** `message` for an event without a name, as the standard has it. */
  readonly event: string;
  readonly data: string;
}

export interface SseDecoder {
  /**
   * The events that end in this chunk. UTF-8 and line ends may be cut anywhere.
   * @throws GatewayError `internal` when an event that has not ended yet is too large.
   */
  push(chunk: Buffer): SseEvent[];
  /** The stream is over: an event without its blank line is dropped, as the standard has it. */
  end(): void;
}

/** Far above any event there is; one without an end would fill the memory. */
export const maxSseEventBytes = 16 * 1024 * 1024;

/** Decodes every event in full. A Messages stream that is only passed on is watched by a stream observer instead. */
export function createSseDecoder(options: { readonly maxEventBytes?: number } = {}): SseDecoder {
  let events: SseEvent[] = [];
  let name = "";
  let data: string[] = [];
  const border = (): void => {
    if (data.length > 0) events.push({ event: name === "" ? "message" : name, data: data.join("\n") });
    name = "";
    data = [];
  };
  const splitter = new LineSplitter(
    {
      line(line) {
        if (line.start === line.end) return border();
        const field = fieldOf(line);
        if (field === "data") data.push(valueOf(line, field));
        else if (field === "event") name = valueOf(line, field);
      },
      isUnwanted: isComment,
    },
    options.maxEventBytes ?? maxSseEventBytes,
  );
  return {
    push(chunk) {
      splitter.push(chunk);
      const done = events;
      events = [];
      return done;
    },
    end() {
      name = "";
      data = [];
    },
  };
}

const colon = 0x3a;
const space = 0x20;
const dataField = Buffer.from("data");
const eventField = Buffer.from("event");

export function isComment({ bytes, start }: Line): boolean {
  return bytes[start] === colon;
}

/** The field of a line that is one of the two that matter. */
export function fieldOf(line: Line): "data" | "event" | undefined {
  if (isField(line, dataField)) return "data";
  return isField(line, eventField) ? "event" : undefined;
}

/** The name alone on its line counts too, as a field without a value. */
function isField({ bytes, start, end }: Line, field: Buffer): boolean {
  const behind = start + field.length;
  if (end < behind || (end > behind && bytes[behind] !== colon)) return false;
  for (let index = 0; index < field.length; index += 1) if (bytes[start + index] !== field[index]) return false;
  return true;
}

/** Where the value begins: behind the colon and one space, if they are there. */
export function valueStart({ bytes, start, end }: Line, field: "data" | "event"): number {
  const behind = Math.min(start + field.length + 1, end);
  return behind < end && bytes[behind] === space ? behind + 1 : behind;
}

export function valueOf(line: Line, field: "data" | "event"): string {
  return line.bytes.toString("utf8", valueStart(line, field), line.end);
}

/** One event of a Messages stream. */
export function encodeSseEvent(event: string, data: unknown): Buffer {
  return Buffer.from(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

/** Keeps an answer that has begun alive; every client knows this event. */
export const pingEvent: Buffer = encodeSseEvent("ping", { type: "ping" });

/** Keeps a stream alive before `message_start`, where strict clients take no event. */
export const pingComment: Buffer = Buffer.from(": ping\n\n");
