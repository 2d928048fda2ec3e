import { isAbsent, isFields, type Fields, type Reading } from "./reading.ts";

interface Placed {
  /** Where the block stands in the caller's body, as the API names members: `messages.0.content.1`. */
  readonly path: string;
}

export interface TextBlock extends Placed {
  readonly type: "text";
  readonly text: string;
}
export interface ImageBlock extends Placed {
  readonly type: "image";
  readonly source: Base64Source | UrlSource;
}
export interface DocumentBlock extends Placed {
  readonly type: "document";
  readonly source: Base64Source | UrlSource | { readonly type: "content"; readonly blocks: readonly Block[] };
  readonly title?: string;
  readonly context?: string;
}
interface SearchResultBlock extends Placed {
  readonly type: "search_result";
  readonly source: string;
  readonly title: string;
  readonly texts: readonly string[];
}
export interface ToolUseBlock extends Placed {
  readonly type: "tool_use";
  readonly id: string;
  readonly name: string;
  readonly input: Fields;
}
export interface ToolResultBlock extends Placed {
  readonly type: "tool_result";
  readonly toolUseId: string;
  readonly isError: boolean;
  readonly blocks: readonly Block[];
}
export interface ThinkingBlock extends Placed {
  readonly type: "thinking";
  readonly thinking: string;
  readonly signature: string;
}
export type Block =
  | TextBlock
  | ImageBlock
  | DocumentBlock
  | SearchResultBlock
  | ToolUseBlock
  | ToolResultBlock
  | ThinkingBlock;

interface Base64Source {
  readonly type: "base64";
  readonly mediaType: string;
  readonly data: string;
}
export interface UrlSource {
  readonly type: "url";
  readonly url: string;
}

/** A content's blocks; a string is one text block. Empty texts, which the API refuses anyway, are left out. */
export function readBlocks(reading: Reading, content: unknown, path: string): Block[] {
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content, path }];
  const blocks: Block[] = [];
  for (const [index, value] of reading.list(content, path).entries()) {
    const block = readBlock(reading, value, `${path}.${index}`);
    if (block) blocks.push(block);
  }
  return blocks;
}

type ReadBlock = (reading: Reading, fields: Fields, path: string) => Block | undefined;

const readers: Readonly<Record<string, ReadBlock>> = {
  text: readText,
  image: readImage,
  document: readDocument,
  search_result: readSearchResult,
  thinking: readThinking,
  redacted_thinking: dropRedacted,
  tool_use: readToolUse,
  tool_result: readToolResult,
};

/** Blocks of what the provider itself did in earlier turns: another family can go on from the text around them. */
const hostedBlock = /^(?:server_tool_use|mcp_tool_use|mcp_tool_listing|fallback|.+_tool_result)$/;

function readBlock(reading: Reading, value: unknown, path: string): Block | undefined {
  const fields = reading.fields(value, path);
  const type = reading.text(fields["type"], `${path}.type`);
  const read = Object.hasOwn(readers, type) ? readers[type] : undefined;
  if (read) return read(reading, fields, path);
  if (!hostedBlock.test(type)) reading.refuse(path, `\`${type.slice(0, 40)}\` has no equivalent at this provider`);
  reading.adaptOrRefuse("server tool blocks left out", path);
  return undefined;
}

const textMembers = new Set(["type", "text", "citations"]);

function readText(reading: Reading, fields: Fields, path: string): TextBlock | undefined {
  reading.onlyMembers(fields, textMembers, path);
  if (!isAbsent(fields["citations"]) && reading.list(fields["citations"], `${path}.citations`).length > 0)
    reading.drop("citations of earlier text");
  const text = reading.text(fields["text"], `${path}.text`);
  return text === "" ? undefined : { type: "text", text, path };
}

const imageMembers = new Set(["type", "source", "transformations"]);

function readImage(reading: Reading, fields: Fields, path: string): ImageBlock {
  reading.onlyMembers(fields, imageMembers, path);
  if (!isAbsent(fields["transformations"])) reading.drop("image transformations");
  const source = readSource(reading, fields["source"], `${path}.source`);
  if (source.type === "base64" || source.type === "url") return { type: "image", source, path };
  return reading.refuse(`${path}.source.type`, "Input should be base64 or url");
}

type Source = DocumentBlock["source"];

function readSource(reading: Reading, value: unknown, path: string): Source {
  const fields = reading.fields(value, path);
  const type = reading.text(fields["type"], `${path}.type`);
  if (type === "url") return { type, url: reading.text(fields["url"], `${path}.url`) };
  if (type === "content") return { type, blocks: readBlocks(reading, fields["content"], `${path}.content`) };
  if (type === "base64") {
    const mediaType = reading.text(fields["media_type"], `${path}.media_type`);
    return { type, mediaType, data: reading.text(fields["data"], `${path}.data`) };
  }
  if (type === "text") {
    const text = reading.text(fields["data"], `${path}.data`);
    return { type: "content", blocks: [{ type: "text", text, path: `${path}.data` }] };
  }
  // Files lie in the account that took them.
  return reading.refuse(path, `a source of type \`${type.slice(0, 40)}\` is not reachable for this provider`);
}

const documentMembers = new Set(["type", "source", "title", "context", "citations"]);

function readDocument(reading: Reading, fields: Fields, path: string): DocumentBlock {
  reading.onlyMembers(fields, documentMembers, path);
  refuseCitations(reading, fields, path);
  const title = reading.optionalText(fields["title"], `${path}.title`);
  const context = reading.optionalText(fields["context"], `${path}.context`);
  return {
    type: "document",
    source: readSource(reading, fields["source"], `${path}.source`),
    path,
    ...(title === undefined ? undefined : { title }),
    ...(context === undefined ? undefined : { context }),
  };
}

const searchResultMembers = new Set(["type", "source", "title", "content", "citations"]);

function readSearchResult(reading: Reading, fields: Fields, path: string): SearchResultBlock {
  reading.onlyMembers(fields, searchResultMembers, path);
  refuseCitations(reading, fields, path);
  const texts = readBlocks(reading, fields["content"], `${path}.content`).map((block) =>
    block.type === "text" ? block.text : reading.refuse(block.path, "Input should be a text block"),
  );
  const source = reading.text(fields["source"], `${path}.source`);
  return { type: "search_result", source, title: reading.text(fields["title"], `${path}.title`), texts, path };
}

function refuseCitations(reading: Reading, fields: Fields, path: string): void {
  const { citations } = fields;
  if (isFields(citations) && citations["enabled"] === true)
    reading.adaptOrRefuse("answers without citations", `${path}.citations`);
}

const thinkingMembers = new Set(["type", "thinking", "signature"]);

function readThinking(reading: Reading, fields: Fields, path: string): ThinkingBlock {
  reading.onlyMembers(fields, thinkingMembers, path);
  const thinking = reading.text(fields["thinking"], `${path}.thinking`);
  return { type: "thinking", thinking, signature: reading.optionalText(fields["signature"], path) ?? "", path };
}

/** Readable to the model that made it only. */
function dropRedacted(reading: Reading): undefined {
  reading.drop("thinking of another model");
}

const toolUseMembers = new Set(["type", "id", "name", "input", "caller", "toolset_name"]);

function readToolUse(reading: Reading, fields: Fields, path: string): ToolUseBlock {
  reading.onlyMembers(fields, toolUseMembers, path);
  return {
    type: "tool_use",
    id: reading.text(fields["id"], `${path}.id`),
    name: reading.text(fields["name"], `${path}.name`),
    input: reading.fields(fields["input"], `${path}.input`),
    path,
  };
}

const toolResultMembers = new Set(["type", "tool_use_id", "content", "is_error", "toolset_name"]);
const resultBlocks = new Set(["text", "image", "document", "search_result"]);

function readToolResult(reading: Reading, fields: Fields, path: string): ToolResultBlock {
  reading.onlyMembers(fields, toolResultMembers, path);
  const content = fields["content"];
  const blocks = isAbsent(content) ? [] : readBlocks(reading, content, `${path}.content`);
  for (const block of blocks)
    if (!resultBlocks.has(block.type)) reading.refuse(block.path, `\`${block.type}\` is no content of a tool result`);
  const toolUseId = reading.text(fields["tool_use_id"], `${path}.tool_use_id`);
  return { type: "tool_result", toolUseId, isError: fields["is_error"] === true, blocks, path };
}
