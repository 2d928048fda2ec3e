import { argumentsText } from "../openai/chat-end.ts";
import { isFields, type Fields } from "../translate/reading.ts";
import type { ReasoningItem } from "./reasoning-signature.ts";

/** One item of an answer. Others than these are of tools that run there, which no call of ours asks for. */
export type OutputItem =
  | { readonly type: "message"; readonly text: string; readonly refusal: string }
  | { readonly type: "reasoning"; readonly text: string; readonly id: string; readonly encrypted: string }
  | { readonly type: "function_call"; readonly id: string; readonly name: string; readonly args: string };

export function readItem(item: unknown): OutputItem | undefined {
  if (!isFields(item)) return undefined;
  if (item["type"] === "message")
    return { type: "message", text: textOf(item["content"], "text"), refusal: textOf(item["content"], "refusal") };
  if (item["type"] === "reasoning") return readReasoning(item);
  if (item["type"] !== "function_call") return undefined;
  const id = stringOf(item["call_id"] ?? item["id"]);
  return { type: "function_call", id, name: stringOf(item["name"]), args: argumentsText(item["arguments"]) };
}

/** A summary, or with servers that show their reasoning that itself. */
function readReasoning({ id, summary, content, encrypted_content: encrypted }: Fields): OutputItem {
  const text = textOf(summary, "text", "\n\n") || textOf(content, "text");
  return { type: "reasoning", text, id: stringOf(id), encrypted: stringOf(encrypted) };
}

/** What the signature of an item's block carries; undefined where nobody could use it. */
export function givenBack(
  { id, encrypted }: Omit<ReasoningItem, "account">,
  account: string,
): ReasoningItem | undefined {
  return id === "" ? undefined : { account, id, encrypted };
}

function textOf(parts: unknown, member: "text" | "refusal", between = ""): string {
  if (typeof parts === "string") return member === "text" ? parts : "";
  const list: readonly unknown[] = Array.isArray(parts) ? parts : [];
  return list
    .map((part) => (isFields(part) ? stringOf(part[member]) : ""))
    .filter((text) => text !== "")
    .join(between);
}

function stringOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
