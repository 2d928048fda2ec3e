import { createHash } from "node:crypto";
import { isFields } from "../translate/reading.ts";

const longestName = 64;
const longestId = 40;
const hashDigits = 8;
const shortened = new RegExp(`_[0-9a-f]{${hashDigits}}$`);

/** The name as this wire takes it: the same, or cut and told apart by a hash where it is too long or has odd letters. */
export function wireToolName(name: string): string {
  if (name.length <= longestName && /^[a-zA-Z0-9_-]+$/.test(name)) return name;
  const readable = name.replaceAll(/[^a-zA-Z0-9_-]/g, "_").slice(0, longestName - hashDigits - 1);
  return `${readable}_${hashOf(name, hashDigits)}`;
}

/** The caller's name of a tool that the model called; found again in the call's body where it had to be changed. */
export function callerToolName(wireName: string, body: Buffer): string {
  if (!shortened.test(wireName)) return wireName;
  const { tools } = JSON.parse(body.toString("utf8")) as { readonly tools?: unknown };
  if (!Array.isArray(tools)) return wireName;
  for (const tool of tools as readonly unknown[]) {
    const name = isFields(tool) ? tool["name"] : undefined;
    if (typeof name === "string" && wireToolName(name) === wireName) return name;
  }
  return wireName;
}

/** The id of an earlier call as this wire takes it back. */
export function wireToolId(id: string): string {
  return id.length <= longestId ? id : `call_${hashOf(id, 32)}`;
}

export interface ToolIdSource {
  readonly callId: string;
  readonly body: Buffer;
}

/**
 * The id of a call the model made, as the caller gets it: the same, or one of ours where it has letters that Claude
 * refuses, or where the conversation already has a call by this id, as servers that number from zero make it.
 */
export function callerToolId(id: string, position: number, { callId, body }: ToolIdSource): string {
  if (/^[a-zA-Z0-9_-]{1,128}$/.test(id) && !body.includes(`"${id}"`)) return id;
  return `toolu_${hashOf(`${callId} ${position}`, 24)}`;
}

function hashOf(value: string, digits: number): string {
  return createHash("sha256").update(value).digest("hex").slice(0, digits);
}
