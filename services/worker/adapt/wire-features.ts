import { isFields, type Fields } from "../adapters/translate/reading.ts";

/** What of a request only some of the wires that Claude is served by have, and where it stands. */
export interface Use {
  /** The beginning of a tool's type, or where a source's data is to come from: `url`, `file`. */
  readonly kind: string;
  /** As the API names members: `tools.0`. */
  readonly path: string;
}

/**
 * Tools by the beginning of their type, and the wires that have them; the first row that fits counts. Most run at the
 * provider, toolsets are known to Anthropic's own service only.
 */
const tools: readonly (readonly [prefix: string, wires: readonly string[]])[] = [
  ["web_search_20250305", ["anthropic", "foundry", "vertex"]],
  ["web_search_2", ["anthropic", "foundry"]],
  ["web_fetch_2", ["anthropic", "foundry"]],
  ["code_execution_2", ["anthropic", "foundry"]],
  ["mcp_toolset", ["anthropic", "foundry"]],
  ["advisor_2", ["anthropic"]],
  ["computer_toolset_2", ["anthropic"]],
  ["browser_toolset_2", ["anthropic"]],
];

/** Who fetches nothing, and keeps no files. */
const sourceless: ReadonlySet<string> = new Set(["bedrock", "bedrock/mantle", "vertex"]);

/** The row of a tool that not every wire has; undefined for all others. */
export function toolPrefix(tool: unknown): string | undefined {
  const type = isFields(tool) ? tool["type"] : undefined;
  return typeof type === "string" ? tools.find(([prefix]) => type.startsWith(prefix))?.[0] : undefined;
}

/** @param kind of a use */
export function hasWire(kind: string, wire: string): boolean {
  if (kind === "url" || kind === "file") return !sourceless.has(wire);
  return tools.find(([prefix]) => prefix === kind)?.[1].includes(wire) ?? true;
}

/** The first of the uses that a wire lacks. */
export function findLack(uses: readonly Use[], wire: string): Use | undefined {
  return uses.find(({ kind }) => !hasWire(kind, wire));
}

const bytesOf = (text: string): Buffer => Buffer.from(text);
/** What printers of JSON write for it; what is spaced otherwise is left to the provider. */
const otherTraces = ['"mcp_toolset"', '"type":"url"', '"type": "url"', '"file_id"'].map(bytesOf);
/** In every dated type. A search for this alone takes next to no time. */
const dated = bytesOf("_202");
const datedTraces = tools.map(([prefix]) => bytesOf(`"${prefix}`));

function mayHoldUses(body: Buffer): boolean {
  const holds = (trace: Buffer): boolean => body.includes(trace);
  return otherTraces.some(holds) || (body.includes(dated) && datedTraces.some(holds));
}

/** What a checked body asks for that not every wire has. A body without a trace of it is searched and not read. */
export function readUses(body: Buffer): readonly Use[] {
  if (!mayHoldUses(body)) return [];
  const { tools: offered, messages } = JSON.parse(body.toString("utf8")) as Fields;
  return [...usesOfTools(offered), ...listOf(messages).flatMap((message, index) => usesOfMessage(message, index))];
}

function usesOfTools(offered: unknown): Use[] {
  return listOf(offered).flatMap((tool, index) => {
    const kind = toolPrefix(tool);
    return kind === undefined ? [] : [{ kind, path: `tools.${index}` }];
  });
}

function usesOfMessage(message: unknown, index: number): Use[] {
  return isFields(message) ? usesOfContent(message["content"], `messages.${index}.content`) : [];
}

function usesOfContent(content: unknown, path: string): Use[] {
  return listOf(content).flatMap((block, index) => (isFields(block) ? usesOfBlock(block, `${path}.${index}`) : []));
}

function usesOfBlock({ type, source, content }: Fields, path: string): Use[] {
  if (type === "container_upload") return [{ kind: "file", path }];
  if (type === "tool_result") return usesOfContent(content, `${path}.content`);
  if ((type !== "image" && type !== "document") || !isFields(source)) return [];
  const { type: kind } = source;
  if (kind === "url" || kind === "file") return [{ kind, path: `${path}.source` }];
  return kind === "content" ? usesOfContent(source["content"], `${path}.source.content`) : [];
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
