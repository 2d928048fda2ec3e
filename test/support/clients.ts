import { setTimeout as sleep } from "node:timers/promises";

import { createAnthropic, type AnthropicProvider } from "@ai-sdk/anthropic";
import Anthropic from "@anthropic-ai/sdk";
import AnthropicV0 from "anthropic-sdk-0";

/** Where a client calls, and with which key. */
export interface Endpoint {
  readonly url: string;
  readonly key: string;
}

/** The official SDK, 1.x: Bearer, version 2026-10-21. Retries only when a test asks for it. */
export function sdk(
  { url, key }: Endpoint,
  options: { readonly maxRetries?: number; readonly timeout?: number } = {},
): Anthropic {
  return new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, ...options });
}

/** The official SDK, 0.x: x-api-key, version 2023-06-01. */
export function sdkV0({ url, key }: Endpoint, options: { readonly maxRetries?: number } = {}): AnthropicV0 {
  return new AnthropicV0({ baseURL: url, apiKey: key, maxRetries: 0, ...options });
}

/** The AI SDK's provider. */
export function aiSdk({ url, key }: Endpoint): AnthropicProvider {
  return createAnthropic({ baseURL: `${url}/v1`, apiKey: key });
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  readonly text: string;
  readonly json: unknown;
}

interface PostInit {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/**
 * As `post`, and again after 529, as clients do: a gateway with much to do, on a machine that stands still now and then,
 * may shed load for a second.
 */
export async function postAgain(endpoint: Endpoint, body: string | object, init: PostInit = {}): Promise<Answered> {
  for (;;) {
    const answer = await post(endpoint, body, init);
    if (answer.status !== 529) return answer;
    await sleep(100);
  }
}

/** A call as any HTTP client makes it, with the body as bytes. */
export async function post(
  { url, key }: Endpoint,
  body: string | Buffer | object,
  init: PostInit = {},
): Promise<Answered> {
  const response = await fetch(`${url}${init.path ?? "/v1/messages"}`, {
    method: "POST",
    headers: {
      "x-api-key": key,
      "anthropic-version": "2023-06-01",
      "content-type": "application/json",
      ...init.headers,
    },
    body: typeof body === "string" ? body : Buffer.isBuffer(body) ? new Uint8Array(body) : JSON.stringify(body),
    ...(init.signal ? { signal: init.signal } : {}),
  });
  return readAnswer(response);
}

export async function get(
  { url, key }: Endpoint,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  return readAnswer(
    await fetch(`${url}${path}`, { headers: { "x-api-key": key, "anthropic-version": "2023-06-01", ...headers } }),
  );
}

async function readAnswer(response: Response): Promise<Answered> {
  const bytes = Buffer.from(await response.arrayBuffer());
  const text = bytes.toString();
  return {
    status: response.status,
    headers: response.headers,
    bytes,
    text,
    json: response.headers.get("content-type")?.includes("json") ? (JSON.parse(text) as unknown) : undefined,
  };
}

/** The text of a streamed answer, its deltas joined. */
export function streamedText({ text }: Answered): string {
  return [...text.matchAll(/"type":"text_delta","text":("(?:[^"\\]|\\.)*")/g)]
    .map(([, json]) => JSON.parse(json ?? '""') as string)
    .join("");
}

/** A body with one user turn. */
export function prompt(text: string, more: object = {}): Record<string, unknown> {
  return { model: "claude-opus-4-8", max_tokens: 1024, messages: [{ role: "user", content: text }], ...more };
}
