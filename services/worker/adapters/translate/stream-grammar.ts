import { createSseDecoder } from "#shared/messages/sse.ts";
import { isFields, type Fields } from "./reading.ts";

/** A Messages stream as a client puts it together. */
export interface ReadStream {
  /** With its content; undefined when none began. */
  readonly message?: Fields;
  /** That ended it. */
  readonly error?: Fields;
  readonly stopped: boolean;
}

type Block = Record<string, unknown>;

const deltaOf: Readonly<Record<string, readonly [delta: string, member: string, block: string]>> = {
  text_delta: ["text", "text", "text"],
  thinking_delta: ["thinking", "thinking", "thinking"],
  signature_delta: ["signature", "signature", "thinking"],
  input_json_delta: ["partial_json", "json", "tool_use"],
};

/**
 * Reads a stream by the grammar of the Messages API, for tests.
 * @throws Error at the first event that the grammar does not allow where it stands.
 */
export function readStream(bytes: Buffer): ReadStream {
  const reader = new GrammarReader();
  for (const { event, data } of createSseDecoder().push(bytes)) {
    const value = JSON.parse(data) as Fields;
    assert(value["type"] === event, `event ${event} has type ${String(value["type"])}`);
    reader.read(value);
  }
  return reader.result();
}

function assert(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`not a Messages stream: ${what}`);
}

class GrammarReader {
  #message: Block | undefined;
  readonly #content: Block[] = [];
  #open: Block | undefined;
  #signatures = 0;
  #delta = false;
  #stopped = false;
  #error: Fields | undefined;

  read(event: Fields): void {
    assert(!this.#stopped && !this.#error, "an event behind the end");
    const type = String(event["type"]);
    if (type === "ping") return;
    if (type === "error") this.#error = event["error"] as Fields;
    else if (type === "message_start") this.#start(event["message"] as Block);
    else {
      assert(this.#message !== undefined, `${type} before message_start`);
      this.#readItem(type, event);
    }
  }

  result(): ReadStream {
    const message = this.#message && { ...this.#message, content: this.#content.map(finished) };
    return { ...(message ? { message } : {}), ...(this.#error ? { error: this.#error } : {}), stopped: this.#stopped };
  }

  #start(message: Block): void {
    assert(this.#message === undefined, "a second message_start");
    assert(message["stop_reason"] === null && isFields(message["usage"]), "an incomplete message_start");
    this.#message = message;
  }

  #readItem(type: string, event: Fields): void {
    if (type === "message_delta") this.#readEnd(event);
    else if (type === "message_stop") {
      assert(this.#delta, "message_stop before message_delta");
      this.#stopped = true;
    } else this.#readBlock(type, event);
  }

  #readEnd(event: Fields): void {
    assert(!this.#delta && !this.#open, "message_delta twice or within a block");
    const { delta, usage } = event;
    assert(
      isFields(delta) && typeof delta["stop_reason"] === "string" && isFields(usage),
      "an incomplete message_delta",
    );
    this.#delta = true;
    Object.assign(this.#message ?? {}, delta, { usage: { ...(this.#message?.["usage"] as Fields), ...usage } });
  }

  #readBlock(type: string, event: Fields): void {
    assert(!this.#delta, `${type} behind message_delta`);
    if (type === "content_block_start") {
      assert(!this.#open, "a block within a block");
      assert(event["index"] === this.#content.length, `index ${String(event["index"])}`);
      this.#open = { ...(event["content_block"] as Fields), json: "" };
      this.#content.push(this.#open);
      this.#signatures = 0;
      return;
    }
    assert(this.#open !== undefined && event["index"] === this.#content.length - 1, `${type} outside of its block`);
    if (type === "content_block_stop") this.#stop(this.#open);
    else if (type === "content_block_delta") this.#append(this.#open, event["delta"] as Fields);
    else assert(false, `unknown event ${type}`);
  }

  #append(block: Block, delta: Fields): void {
    const row = deltaOf[String(delta["type"])];
    assert(row !== undefined && row[2] === block["type"], `${String(delta["type"])} in ${String(block["type"])}`);
    assert(this.#signatures === 0, "a delta behind the signature");
    const [from, to] = row;
    assert(typeof delta[from] === "string", `no ${from}`);
    if (from === "signature") this.#signatures += 1;
    block[to] = String(block[to]) + delta[from];
  }

  #stop(block: Block): void {
    if (block["type"] === "text") assert(String(block["text"]).trim() !== "", "an empty text");
    if (block["type"] === "thinking") assert(this.#signatures === 1, "thinking without a signature");
    this.#open = undefined;
  }
}

/** A tool's input is parsed at the end of its block; what is not JSON stays as text. */
function finished({ json, ...block }: Block): Block {
  if (block["type"] !== "tool_use") return block;
  try {
    return { ...block, input: json === "" ? {} : (JSON.parse(String(json)) as unknown) };
  } catch {
    return { ...block, input: json };
  }
}
