import type { Answer, AnswerBlock } from "../../answer/prompt.ts";
import type { Frame } from "../../pacer.ts";
import { errorDocument, type ChatApiError } from "../openai/chat-api-error.ts";
import {
  emptyItem,
  endedResponse,
  itemId,
  openedResponse,
  statusOf,
  wholeItem,
  type ResponseHead,
} from "./encode-response.ts";
import type { Json } from "../json.ts";

export interface ResponseEvents {
  /** The events of a streamed response. @param size tokens in one delta */
  frames(size: number): Generator<Frame, void>;
  /** An error in their place: of the stream, or as the end of the response. */
  error(error: ChatApiError, as: "error" | "failed"): string;
}

export function createResponseEvents(head: ResponseHead, answer: Answer): ResponseEvents {
  let sequence = 0;
  const event = (type: string, members: Json, tokens = 0): Frame => {
    const data = JSON.stringify({ type, ...members, sequence_number: sequence });
    sequence += 1;
    return { text: `event: ${type}\ndata: ${data}\n\n`, tokens };
  };

  function* frames(size: number): Generator<Frame, void> {
    yield event("response.created", { response: openedResponse(head) });
    yield event("response.in_progress", { response: openedResponse(head) });
    const output: Json[] = [];
    for (const [output_index, block] of answer.blocks.entries()) {
      const id = itemId(block);
      const item = wholeItem(block, statusOf(answer), id);
      yield event("response.output_item.added", { output_index, item: emptyItem(block, id) });
      for (const { type, members, tokens } of itemEvents(block, item, size))
        yield event(type, { item_id: id, output_index, ...members }, tokens);
      yield event("response.output_item.done", { output_index, item });
      output.push(item);
    }
    const response = endedResponse(head, answer, output);
    yield event(`response.${statusOf(answer)}`, { response });
  }

  return {
    frames,
    error(error, as) {
      if (as === "error") {
        const { message, param, code } = error;
        return event("error", { code, message, param }).text;
      }
      const { error: told } = JSON.parse(errorDocument(error)) as { readonly error: Json };
      const failure = { code: told["code"] ?? told["type"], message: told["message"] };
      return event("response.failed", { response: { ...openedResponse(head), status: "failed", error: failure } }).text;
    },
  };
}

interface ItemEvent {
  readonly type: string;
  readonly members: Json;
  readonly tokens?: number;
}

/** What comes between the beginning of an item and its end. */
function* itemEvents(block: AnswerBlock, item: Json, size: number): Generator<ItemEvent, void> {
  const text = block.pieces.join("");
  if (block.type === "tool_use") {
    yield* deltas("response.function_call_arguments", block, { size });
    yield { type: "response.function_call_arguments.done", members: { name: item["name"], arguments: text } };
  } else if (block.type === "text") {
    const place = { content_index: 0 };
    const part = { type: "output_text", annotations: [], logprobs: [] };
    yield { type: "response.content_part.added", members: { ...place, part: { ...part, text: "" } } };
    yield* deltas("response.output_text", block, { size, members: { ...place, logprobs: [] } });
    yield { type: "response.output_text.done", members: { ...place, text, logprobs: [] } };
    yield { type: "response.content_part.done", members: { ...place, part: { ...part, text } } };
  } else if (text !== "") {
    const place = { summary_index: 0 };
    const part = (shown: string): Json => ({ type: "summary_text", text: shown });
    yield { type: "response.reasoning_summary_part.added", members: { ...place, part: part("") } };
    yield* deltas("response.reasoning_summary_text", block, { size, members: place });
    yield { type: "response.reasoning_summary_text.done", members: { ...place, text } };
    yield { type: "response.reasoning_summary_part.done", members: { ...place, part: part(text) } };
  }
}

function* deltas(
  name: string,
  { pieces }: AnswerBlock,
  { size, members }: { readonly size: number; readonly members?: Json },
): Generator<ItemEvent, void> {
  for (let start = 0; start < pieces.length; start += size) {
    const some = pieces.slice(start, start + size);
    yield { type: `${name}.delta`, members: { ...members, delta: some.join("") }, tokens: some.length };
  }
}
