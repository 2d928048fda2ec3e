import type { CatalogueModel } from "#shared/routing/catalogue.ts";
import { readForeignSignature } from "../adapters/translate/foreign-thinking.ts";
import { isFields, type Fields } from "../adapters/translate/reading.ts";
import type { Draft } from "./draft.ts";

/**
 * Takes reasoning out of the conversation: what is marked as no Claude's, or all of it, which is signed for another
 * model. A message of nothing else goes with it.
 */
export function stripThinking(draft: Draft, which: "foreign" | "foreign or unsigned" | "all"): void {
  const messages = draft.body["messages"];
  if (!Array.isArray(messages)) return;
  let count = 0;
  const goes = (block: Fields): boolean => isForeign(block) || (which !== "foreign" && block["signature"] === "");
  const kept = messages.flatMap((message: unknown) => {
    if (!isFields(message) || message["role"] !== "assistant" || !Array.isArray(message["content"])) return [message];
    const blocks: readonly unknown[] = message["content"];
    const content = blocks.filter((block) => !isThinking(block) || (which !== "all" && !goes(block)));
    count += blocks.length - content.length;
    if (content.length === blocks.length) return [message];
    return content.length === 0 ? [] : [{ ...message, content }];
  });
  if (count === 0) return;
  draft.body["messages"] = kept;
  draft.notes.add("dropped: thinking of another model");
  if (isManual(draft.body) && endsInBareToolUse(kept)) {
    // With manual thinking a turn that calls tools has to begin with its reasoning.
    draft.body["thinking"] = { type: "disabled" };
    draft.notes.add("adapted: thinking");
  }
}

/** The kind of thinking that the model knows, in place of one that it refuses. */
export function adaptThinking({ body, notes }: Draft, refuses: CatalogueModel["refuses"]): void {
  const { thinking } = body;
  if (!isFields(thinking)) return;
  const { type, display } = thinking;
  const shown = display === undefined ? {} : { display };
  if (type === "enabled" && refuses.has("manual_thinking")) body["thinking"] = { type: "adaptive", ...shown };
  else if (type === "adaptive" && refuses.has("adaptive_thinking")) body["thinking"] = manualThinking(body, shown);
  else if (type === "disabled" && refuses.has("disabled_thinking")) delete body["thinking"];
  else return;
  notes.add("adapted: thinking");
}

const leastBudget = 1_024;
const usualBudget = 16_000;

/** Half of what the answer may have, where that is enough and no tool is forced. */
function manualThinking(body: Fields, shown: Fields): Fields {
  const maxTokens = Number(body["max_tokens"] ?? usualBudget);
  const { tool_choice: choice } = body;
  const isForced = isFields(choice) && (choice["type"] === "any" || choice["type"] === "tool");
  const budget = Math.min(usualBudget, Math.floor(maxTokens / 2));
  if (isForced || budget < leastBudget || endsInBareToolUse(body["messages"])) return { type: "disabled" };
  return { type: "enabled", budget_tokens: budget, ...shown };
}

function isManual({ thinking }: Fields): boolean {
  return isFields(thinking) && thinking["type"] === "enabled";
}

/** Whether the latest turn of the assistant calls tools without reasoning before. */
function endsInBareToolUse(messages: unknown): boolean {
  if (!Array.isArray(messages)) return false;
  const last: unknown = messages.findLast((message) => isFields(message) && message["role"] === "assistant");
  if (!isFields(last) || !Array.isArray(last["content"])) return false;
  const content: readonly unknown[] = last["content"];
  return content.some((block) => isFields(block) && block["type"] === "tool_use") && !isThinking(content[0]);
}

function isThinking(block: unknown): block is Fields {
  return isFields(block) && (block["type"] === "thinking" || block["type"] === "redacted_thinking");
}

function isForeign({ signature, data }: Fields): boolean {
  return [signature, data].some((text) => typeof text === "string" && readForeignSignature(text) !== undefined);
}
