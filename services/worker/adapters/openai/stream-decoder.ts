import { createSseDecoder } from "#shared/messages/sse.ts";
import type { DecodeContext, StreamDecoder } from "../adapter.ts";
import { messageIdOf } from "../translate/answer-parts.ts";
import { estimateInputTokens } from "../translate/estimate-input.ts";
import { createMessageEvents, type MessageEvents } from "../translate/message-events.ts";
import { isFields, type Fields } from "../translate/reading.ts";
import {
  answerEnd,
  isFailedFinish,
  readContent,
  readFinish,
  readReasoning,
  stopSequencesOf,
  type ChatFinish,
} from "./chat-end.ts";
import { readChatError, streamError, type ChatErrorFacts } from "./chat-error.ts";
import { estimatedUsage, readChatUsage } from "./chat-usage.ts";
import { reasoningSignature } from "./decode.ts";
import { ToolFragments } from "./tool-fragments.ts";

/**
 * Completion chunks to Messages events. The end waits for the usage, which comes behind the finish reason; a stream
 * that is cut before its finish reason gets no end here: that it was cut is the engine's to tell.
 */
export function createStreamDecoder(context: DecodeContext): StreamDecoder {
  const inputTokens = estimateInputTokens(context.body);
  const events = createMessageEvents({
    id: messageIdOf(context.callId),
    model: context.askedModel,
    usage: estimatedUsage(inputTokens, 0),
    signature: reasoningSignature("reasoning_content"),
  });
  const chunks = new ChunkReader(context, events, inputTokens);
  const sse = createSseDecoder();
  return {
    push(bytes) {
      try {
        for (const { data } of sse.push(bytes)) chunks.read(data);
      } catch {
        events.fail({ type: "api_error", message: "The provider's stream could not be read." });
      }
      return events.take();
    },
    end() {
      sse.end();
      chunks.end();
      return events.take();
    },
  };
}

class ChunkReader {
  readonly #context: DecodeContext;
  readonly #events: MessageEvents;
  readonly #tools: ToolFragments;
  readonly #inputTokens: number;
  #finish: ChatFinish | undefined;
  #usage: unknown;
  #refusal: string | undefined;
  #outputBytes = 0;

  constructor(context: DecodeContext, events: MessageEvents, inputTokens: number) {
    this.#context = context;
    this.#events = events;
    this.#tools = new ToolFragments(context, events);
    this.#inputTokens = inputTokens;
  }

  /** The data of one event. */
  read(data: string): void {
    if (this.#events.ended || data.trim() === "") return;
    if (data.trim() === "[DONE]") {
      this.#done();
      return;
    }
    const chunk: unknown = JSON.parse(data);
    const error = readChatError(chunk);
    if (error) this.#fail(error);
    else if (isFields(chunk)) this.#readChunk(chunk);
  }

  /** The bytes are over. */
  end(): void {
    if (this.#finish) this.#complete(this.#finish);
  }

  #readChunk(chunk: Fields): void {
    this.#events.begin();
    if (isFields(chunk["usage"])) this.#usage = chunk["usage"];
    const choices: readonly unknown[] = Array.isArray(chunk["choices"]) ? chunk["choices"] : [];
    for (const choice of choices) if (isFields(choice) && (choice["index"] ?? 0) === 0) this.#readChoice(choice);
    if (choices.length === 0 && this.#finish && this.#usage !== undefined) this.#complete(this.#finish);
  }

  #readChoice(choice: Fields): void {
    const error = isFields(choice["error"]) ? readChatError(choice) : undefined;
    if (error) {
      this.#fail(error);
      return;
    }
    if (isFields(choice["delta"])) this.#readDelta(choice["delta"]);
    this.#finish = readFinish(choice) ?? this.#finish;
    if (!this.#finish || !isFailedFinish(this.#finish)) return;
    const { reason } = this.#finish;
    this.#fail({ message: "", words: new Set(reason === "error" ? [] : ["overloaded"]) });
  }

  #readDelta(delta: Fields): void {
    const { text, thinking } = readContent(delta["content"]);
    const reasoning = readReasoning(delta) ?? { text: thinking, name: "reasoning_content" };
    const refusal = typeof delta["refusal"] === "string" ? delta["refusal"] : "";
    this.#outputBytes += reasoning.text.length + text.length + refusal.length;
    if (reasoning.text + text + refusal !== "") this.#tools.startAll();
    if (reasoning.text !== "") {
      this.#events.thinking(reasoning.text);
      if (reasoning.name === "reasoning") this.#events.sign(reasoningSignature(reasoning.name));
    }
    this.#events.text(text + refusal);
    if (refusal !== "") this.#refusal = (this.#refusal ?? "") + refusal;
    if (Array.isArray(delta["tool_calls"]))
      for (const fragment of delta["tool_calls"] as readonly unknown[])
        if (isFields(fragment)) this.#outputBytes += this.#tools.read(fragment);
  }

  #done(): void {
    if (this.#finish) this.#complete(this.#finish);
    else this.#events.fail({ type: "api_error", message: "The provider's stream ended without a reason." });
  }

  #complete(finish: ChatFinish): void {
    this.#tools.startAll();
    const end = answerEnd(finish, {
      calls: this.#events.tools > 0,
      ...(this.#refusal === undefined ? undefined : { refusal: this.#refusal }),
      stopSequences: stopSequencesOf(finish, this.#context.body),
    });
    const usage = readChatUsage(this.#usage) ?? estimatedUsage(this.#inputTokens, this.#outputBytes);
    this.#events.finish({ ...end, usage });
  }

  #fail(error: ChatErrorFacts): void {
    this.#events.fail(streamError(error));
  }
}
