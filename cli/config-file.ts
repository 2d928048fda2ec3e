import { isMap, isNode, isSeq, parseDocument, stringify, type Document, type YAMLSeq } from "yaml";
import { UsageError } from "./usage-error.ts";

/** An entry of `keys` in sluice.yaml. */
export interface NewKey {
  readonly name: string;
  readonly sha256: string;
  readonly models?: readonly string[];
}

/** The lines for the file, as they are written there. */
export function renderKey(key: NewKey): string {
  return stringify({ keys: [key] }).trimEnd();
}

/** Whether a file that `addKey` takes names keys. */
export function hasKeys(text: string): boolean {
  const keys = parseDocument(text).get("keys");
  return isSeq(keys) && keys.items.length > 0;
}

/**
 * The text of sluice.yaml with one more key. In a list of lines everything else stays byte for byte; a list in brackets,
 * or none, is written anew, with its comments.
 */
export function addKey(text: string, key: NewKey): string {
  const document = parseDocument(text);
  const [fault] = document.errors;
  if (fault) throw new UsageError(`the config file is not YAML: ${fault.message.split("\n", 1)[0]}`);
  if (document.contents !== null && !isMap(document.contents)) throw new UsageError("the config file is not a mapping");
  const keys = document.get("keys");
  if (keys === undefined || keys === null) {
    document.set("keys", document.createNode([key]));
    return document.toString({ lineWidth: 0 });
  }
  if (!isSeq(keys)) throw new UsageError("`keys` of the config file is not a list");
  if (keys.items.some((item) => isMap(item) && item.get("name") === key.name))
    throw new UsageError(`the config file has a key named ${key.name} already; choose another name`);
  return spliceLines(text, keys, key) ?? rewritten(document, keys, key);
}

function rewritten(document: Document, keys: YAMLSeq, key: NewKey): string {
  keys.flow = false;
  keys.add(document.createNode(key));
  return document.toString({ lineWidth: 0 });
}

/** Undefined where the list is not one of lines. */
function spliceLines(text: string, keys: YAMLSeq, key: NewKey): string | undefined {
  const last = keys.items.at(-1);
  if (keys.flow || !isNode(last) || !last.range) return undefined;
  const [start, end] = last.range;
  const indent = /^( *)-[ \n]/.exec(text.slice(text.lastIndexOf("\n", start - 1) + 1))?.[1];
  if (indent === undefined) return undefined;
  const lines = stringify([key]).trimEnd().replaceAll(/^/gm, indent);
  // A value may end before a remark, and a mapping after its line feed.
  const lineEnd = text[end - 1] === "\n" ? end - 1 : text.indexOf("\n", end);
  const at = lineEnd === -1 ? text.length : lineEnd;
  return `${text.slice(0, at)}\n${lines}${text.slice(at)}`;
}
