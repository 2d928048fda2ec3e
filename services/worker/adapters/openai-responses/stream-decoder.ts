import { createSseDecoder } from "#shared/messages/sse.ts";
import type { DecodeContext, StreamDecoder } from "../adapter.ts";
import { answerEnd } from "../openai/chat-end.ts";
import { readChatError, streamError, type ChatErrorFacts } from "../openai/chat-error.ts";
import { estimatedUsage } from "../openai/chat-usage.ts";
import { messageIdOf } from "../translate/answer-parts.ts";
import { estimateInputTokens } from "../translate/estimate-input.ts";
import { createMessageEvents, type MessageEvents } from "../translate/message-events.ts";
import { isFields, type Fields } from "../translate/reading.ts";
import { OutputItems } from "./output-items.ts";
import { readItem } from "./read-item.ts";
import { reasoningSignature } from "./reasoning-signature.ts";
import { readEnd, readResponseUsage, wantsReasoning } from "./response-end.ts";
import type { ResponsesWire } from "./wire.ts";

/**
 * Response events to Messages events. A stream that is cut before the response's end gets none here: that it was cut
 * is the engine's to tell.
 */
export function createStreamDecoder(
  { account }: Pick<ResponsesWire, "account">,
  context: DecodeContext,
): StreamDecoder {
  const inputTokens = estimateInputTokens(context.body);
  const events = createMessageEvents({
    id: messageIdOf(context.callId),
    model: context.askedModel,
    usage: estimatedUsage(inputTokens, 0),
    signature: reasoningSignature(),
  });
  const { callId, body } = context;
  const items = new OutputItems({ callId, body, account, keepsAll: wantsReasoning(body) }, events);
  const reader = new EventReader(events, items, inputTokens);
  const sse = createSseDecoder();
  return {
    push(bytes) {
      try {
        for (const { data } of sse.push(bytes)) reader.read(data);
      } catch {
        events.fail({ type: "api_error", message: "The provider's stream could not be read." });
      }
      return events.take();
    },
    end() {
      sse.end();
      return events.take();
    },
  };
}

class EventReader {
  readonly #events: MessageEvents;
  readonly #items: OutputItems;
  readonly #inputTokens: number;

  constructor(events: MessageEvents, items: OutputItems, inputTokens: number) {
    this.#events = events;
    this.#items = items;
    this.#inputTokens = inputTokens;
  }

  /** The data of one event. */
  read(data: string): void {
    if (this.#events.ended || data.trim() === "") return;
    // Compatible servers send it.
    if (data.trim() === "[DONE]") {
      this.#events.fail({ type: "api_error", message: "The provider's stream ended without the response's end." });
      return;
    }
    const event: unknown = JSON.parse(data);
    if (!isFields(event)) return;
    const { type } = event;
    if (typeof type === "string" && type.startsWith("response.")) this.#readEvent(type.slice(9), event);
    else {
      const error = type === "error" || type === undefined ? readChatError(event) : undefined;
      if (error) this.#fail(error);
    }
  }

  #readEvent(type: string, event: Fields): void {
    this.#events.begin();
    if (type.startsWith("output_item.")) this.#readItem(type, event);
    else if (type.endsWith(".delta")) this.#readDelta(type, event);
    else if (type === "reasoning_summary_part.added") this.#items.nextPart(keyOf(event));
    else if (isFields(event["response"]) && ends.has(type)) this.#readEnd(event["response"]);
  }

  #readItem(type: string, event: Fields): void {
    const item = readItem(event["item"]);
    if (!item) return;
    if (type === "output_item.added") this.#items.begin(keyOf(event), item);
    else if (type === "output_item.done") this.#items.done(keyOf(event), item);
  }

  #readDelta(type: string, event: Fields): void {
    const { delta } = event;
    if (typeof delta !== "string") return;
    const key = keyOf(event);
    if (type === "refusal.delta") this.#items.refuse(key, delta);
    else if (type === "output_text.delta") this.#items.piece(key, "message", delta);
    else if (type === "function_call_arguments.delta") this.#items.piece(key, "function_call", delta);
    else if (type === "reasoning_summary_text.delta" || type === "reasoning_text.delta")
      this.#items.piece(key, "reasoning", delta);
  }

  #readEnd(response: Fields): void {
    const finish = readEnd(response);
    if (!finish) {
      this.#fail(readChatError(response) ?? { message: "", words: new Set() });
      return;
    }
    this.#items.finish();
    const { refusal, length } = this.#items;
    const end = answerEnd(finish, {
      calls: this.#events.tools > 0,
      ...(refusal === "" ? undefined : { refusal }),
      stopSequences: [],
    });
    const usage = readResponseUsage(response["usage"]) ?? estimatedUsage(this.#inputTokens, length);
    this.#events.finish({ ...end, usage });
  }

  #fail(error: ChatErrorFacts): void {
    this.#events.fail(streamError(error));
  }
}

const ends: ReadonlySet<string> = new Set(["completed", "incomplete", "failed", "cancelled"]);

/** Where an item stands; its id where a server does not say. */
function keyOf(event: Fields): unknown {
  const { output_index: index, item_id: id, item } = event;
  return index ?? id ?? (isFields(item) ? item["id"] : undefined);
}
