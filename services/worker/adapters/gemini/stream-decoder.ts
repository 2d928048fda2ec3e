import type { DecodeContext, StreamDecoder } from "../adapter.ts";
import { messageIdOf } from "../translate/answer-parts.ts";
import { createMessageEvents, type MessageEvents } from "../translate/message-events.ts";
import { isFields } from "../translate/reading.ts";
import { readGoogleError } from "./error-body.ts";
import { GeminiAnswer, type AnswerSink } from "./gemini-answer.ts";
import { createResponseReader } from "./response-reader.ts";
import { faultOfError, faultOfFinish, unreadableFault } from "./stream-fault.ts";
import { encodeSignature } from "./thought-signature.ts";

/**
 * Gemini's responses as Messages events. What is behind the finish counts too: signatures and the last usage come there.
 * So the message ends with the bytes; when they end without a finish, it stays open, and counts as cut.
 */
export function createStreamDecoder(context: DecodeContext): StreamDecoder {
  const reader = createResponseReader();
  let events: MessageEvents | undefined;
  const answer = new GeminiAnswer(context, {
    text: (piece) => open().text(piece),
    thinking: (piece) => open().thinking(piece),
    sign: (signature) => open().sign(signature),
    tool: (call) => addTool(open(), call),
  });

  /** Late, so that `message_start` tells the input tokens of the first response. */
  function open(): MessageEvents {
    return (events ??= createMessageEvents({
      id: messageIdOf(context.callId),
      model: context.askedModel,
      usage: answer.usage,
      signature: encodeSignature(),
    }));
  }

  function take(value: unknown): void {
    if (events?.ended) return;
    if (Array.isArray(value)) {
      for (const element of value) take(element);
      return;
    }
    const hasBegun = events !== undefined;
    const error = readGoogleError(value);
    if (error) return open().fail(faultOfError(error, hasBegun));
    if (!isFields(value)) return open().fail(unreadableFault);
    answer.add(value);
    open().begin();
    if (answer.finish?.kind === "fault") open().fail(faultOfFinish(answer.finish));
  }

  return {
    push(chunk) {
      try {
        for (const value of reader.push(chunk)) take(value);
      } catch {
        // An event without an end.
        open().fail(unreadableFault);
      }
      return events?.take();
    },
    end() {
      for (const value of reader.end()) take(value);
      if (answer.finish) open().finish(answer.end());
      return events?.take();
    },
  };
}

function addTool(events: MessageEvents, { id, name, args }: Parameters<AnswerSink["tool"]>[0]): void {
  events.toolStart({ key: id, id, name });
  events.toolArgs(id, JSON.stringify(args));
}
