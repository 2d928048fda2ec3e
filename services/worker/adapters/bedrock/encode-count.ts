/**
 * CountTokens takes the model itself and no inference profile: `us.anthropic.claude-x` is `anthropic.claude-x`. A profile
 * of an application does not name its model; then it is the one that was asked for.
 */
export function countedModel(model: string, askedModel: string): string {
  if (/^arn:[^/]+:application-inference-profile\//.test(model)) {
    const asked = askedModel.replace(/^anthropic\//, "").replaceAll(".", "-");
    return asked.startsWith("claude-") ? `anthropic.${asked}` : model;
  }
  const profile = /^arn:[^/]+:inference-profile\/(.+)$/.exec(model)?.[1] ?? model;
  return profile.replace(/^[a-z-]+\.(?=anthropic\.)/, "");
}

/** The body of an InvokeModel call as CountTokens wants it. */
export function encodeCount(invokeBody: readonly Buffer[], notes: string[]): Buffer[] {
  const encoded = countable(Buffer.concat([...invokeBody]), notes).toString("base64");
  return [Buffer.from(`{"input":{"invokeModel":{"body":"${encoded}"}}}`)];
}

const unknownToolMember = "eager_input_streaming";

/**
 * A count needs `max_tokens`, which those who count leave out, and fails over a member of tools that says how to stream.
 * Nothing is cached by it, so it may be printed anew.
 */
function countable(body: Buffer, notes: string[]): Buffer {
  const lacksMaxTokens = !body.includes('"max_tokens"');
  if (!lacksMaxTokens && !body.includes(`"${unknownToolMember}"`)) return body;
  const value = JSON.parse(body.toString("utf8")) as Record<string, unknown>;
  value["max_tokens"] ??= 1;
  const { tools } = value;
  if (Array.isArray(tools) && tools.some((tool) => isRecord(tool) && unknownToolMember in tool)) {
    value["tools"] = tools.map((tool: unknown) => (isRecord(tool) ? withoutMember(tool) : tool));
    notes.push(`dropped: ${unknownToolMember}`);
  }
  return Buffer.from(JSON.stringify(value));
}

function withoutMember(tool: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(tool).filter(([name]) => name !== unknownToolMember));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
