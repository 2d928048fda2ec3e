/** What a call used, in Messages terms: the input counters exclude one another. */
export interface Usage {
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cache_creation_input_tokens: number;
  readonly cache_read_input_tokens: number;
  /** Of `cache_creation_input_tokens`, those with this time to live; told by whole answers and `message_start` only. */
  readonly cache_creation_5m?: number;
  readonly cache_creation_1h?: number;
  /** Part of `output_tokens`. */
  readonly thinking_tokens?: number;
  readonly service_tier?: string;
  readonly speed?: string;
  readonly inference_geo?: string;
  /** Calls of tools that run at the provider, by kind: `web_search_requests`. Absent when there were none. */
  readonly server_tool_use?: Readonly<Record<string, number>>;
  /** As it came; where it is there, the counters above may not cover all of it. */
  readonly iterations?: readonly unknown[];
}

type Fields = Readonly<Record<string, unknown>>;
type Draft = { -readonly [Name in keyof Usage]: Usage[Name] };

const counters = [
  "input_tokens",
  "output_tokens",
  "cache_creation_input_tokens",
  "cache_read_input_tokens",
] as const satisfies readonly (keyof Usage)[];

const none: Usage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
};

/** The `usage` of a Message; undefined if that is no object. */
export function readUsage(value: unknown): Usage | undefined {
  return isFields(value) ? mergeUsage(undefined, value) : undefined;
}

/**
 * The usage after a `message_delta`: its counters are totals, so what it gives replaces what was known, and what it
 * leaves out or gives as null stays. Nothing is ever added up.
 */
export function mergeUsage(start: Usage | undefined, delta: unknown): Usage {
  if (!isFields(delta)) return start ?? none;
  const usage: Draft = { ...(start ?? none) };
  for (const name of counters) {
    const value = delta[name];
    if (isCount(value)) usage[name] = value;
  }
  takeDetails(usage, delta);
  takePriceMarks(usage, delta);
  if (Array.isArray(delta["iterations"])) usage.iterations = delta["iterations"];
  return usage;
}

/** What a price depends on beside the counters. */
function takePriceMarks(usage: Draft, delta: Fields): void {
  const { service_tier: tier, speed, inference_geo: geo, server_tool_use: tools } = delta;
  if (typeof tier === "string") usage.service_tier = tier;
  if (typeof speed === "string") usage.speed = speed;
  if (typeof geo === "string") usage.inference_geo = geo;
  if (!isFields(tools)) return;
  let used: Record<string, number> | undefined;
  for (const name in tools) {
    const count = tools[name];
    if (isCount(count) && count > 0) (used ??= {})[name] = count;
  }
  if (used) usage.server_tool_use = used;
}

function takeDetails(usage: Draft, { cache_creation: created, output_tokens_details: details }: Fields): void {
  if (isFields(created)) {
    const { ephemeral_5m_input_tokens: short, ephemeral_1h_input_tokens: long } = created;
    if (isCount(short)) usage.cache_creation_5m = short;
    if (isCount(long)) usage.cache_creation_1h = long;
  }
  if (isFields(details) && isCount(details["thinking_tokens"])) usage.thinking_tokens = details["thinking_tokens"];
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
