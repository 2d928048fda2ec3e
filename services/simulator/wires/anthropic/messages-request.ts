import { asArray, isObject, type Json } from "../json.ts";

/** The parts of a body that were checked; the rest is read where it is needed. */
export interface MessagesRequest {
  readonly body: Json;
  readonly model: string;
  readonly maxTokens: number;
  readonly messages: readonly Message[];
  readonly tools: readonly Json[];
  readonly stream: boolean;
}

export interface Message {
  readonly role: string;
  readonly blocks: readonly Json[];
}

/** A message's or a tool result's content as blocks. */
export function toBlocks(content: unknown): readonly Json[] {
  return typeof content === "string" ? [{ type: "text", text: content }] : asArray(content).filter(isObject);
}

/** The texts of blocks, one on a line. */
export function textOf(blocks: readonly Json[]): string {
  return blocks
    .filter((block) => block["type"] === "text")
    .map((block) => String(block["text"]))
    .join("\n");
}
