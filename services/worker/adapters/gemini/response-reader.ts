import { LineSplitter } from "#shared/messages/line-splitter.ts";
import { fieldOf, isComment, maxSseEventBytes, valueOf } from "#shared/messages/sse.ts";

export interface ResponseReader {
  /**
   * The documents that end in this chunk, parsed; undefined for one that is no JSON. May be cut anywhere.
   * @throws GatewayError `internal` when one that has not ended yet is too large.
   */
  push(chunk: Buffer): unknown[];
  /** What the end of the bytes completes. */
  end(): unknown[];
}

/**
 * The responses of a stream. Each is the data of an event; but an error that Google finds out about on the way comes as
 * a bare document between the events, often over several lines, which a reader of events would pass over.
 */
export function createResponseReader(): ResponseReader {
  let done: unknown[] = [];
  let data: string[] = [];
  let bare: string[] = [];
  const border = (): void => {
    if (data.length > 0) done.push(parse(data.join("\n")));
    if (bare.length > 0) done.push(parse(bare.join("\n")));
    data = [];
    bare = [];
  };
  const lines = new LineSplitter(
    {
      line(line) {
        if (line.start === line.end) return border();
        const field = bare.length > 0 ? undefined : fieldOf(line);
        if (field === "data") {
          data.push(valueOf(line, field));
          return;
        }
        const text = line.bytes.toString("utf8", line.start, line.end);
        if (bare.length > 0 || /^\s*[[{]/.test(text)) bare.push(text);
      },
      isUnwanted: (line) => isComment(line),
    },
    maxSseEventBytes,
  );
  const take = (): unknown[] => {
    const taken = done;
    done = [];
    return taken;
  };
  return {
    push(chunk) {
      lines.push(chunk);
      return take();
    },
    end() {
      // The last line may lack its end: what it completes is complete all the same.
      lines.push(Buffer.from("\n\n"));
      return take();
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
