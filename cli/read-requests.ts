import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { UsageError } from "./usage-error.ts";

/** For lines that are plain prompts. */
export interface PromptDefaults {
  readonly model: string | undefined;
  readonly maxTokens: number | undefined;
}

const legalId = /^[a-zA-Z0-9_-]{1,64}$/;

/**
 * The requests of a JSONL file, each as JSON: Anthropic's own lines (`custom_id`, `params`) as they are, plain ones
 * (`custom_id`, `prompt`) as a request of one user turn. Empty lines are passed over. Throws a UsageError that names the
 * line: better before the first byte is sent than after the last.
 */
export async function* readRequests(input: Readable, defaults: PromptDefaults): AsyncGenerator<string> {
  const seen = new Map<string, number>();
  let number = 0;
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    number += 1;
    const text = number === 1 ? line.replace(/^\uFEFF/, "") : line;
    if (text.trim() === "") continue;
    const { id, json } = readLine(text, number, defaults);
    const earlier = seen.get(id);
    if (earlier !== undefined)
      throw new UsageError(`line ${number}: custom_id ${quote(id)} is that of line ${earlier} too`);
    seen.set(id, number);
    yield json;
  }
  if (seen.size === 0) throw new UsageError("the file holds no requests");
}

function readLine(
  text: string,
  number: number,
  defaults: PromptDefaults,
): { readonly id: string; readonly json: string } {
  const value = parse(text, number);
  const id = value["custom_id"];
  if (typeof id !== "string" || !legalId.test(id))
    throw new UsageError(`line ${number}: custom_id has to be 1 to 64 letters, digits, "-" or "_"`);
  const { params, prompt } = value;
  if (isRecord(params) && prompt === undefined) return { id, json: text.trim() };
  if (typeof prompt !== "string" || prompt === "" || params !== undefined)
    throw new UsageError(`line ${number}: needs either "params" (an object) or "prompt" (text)`);
  const { model, maxTokens } = defaults;
  if (model === undefined || maxTokens === undefined)
    throw new UsageError(`line ${number}: a plain prompt needs --model and --max-tokens`);
  const messages = [{ role: "user", content: prompt }];
  return { id, json: JSON.stringify({ custom_id: id, params: { model, max_tokens: maxTokens, messages } }) };
}

function parse(text: string, number: number): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UsageError(`line ${number}: not JSON; each line has to be a request by itself`);
  }
  if (!isRecord(value)) throw new UsageError(`line ${number}: not a JSON object`);
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function quote(text: string): string {
  return JSON.stringify(text);
}
