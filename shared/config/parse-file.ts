import { LineCounter, parseDocument, type YAMLError } from "yaml";
import { ConfigError, type ConfigFault } from "./config-error.ts";

const phrases: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: "the same member twice",
  TAB_AS_INDENT: "a tab in the indentation",
  BAD_INDENT: "wrong indentation",
  MISSING_CHAR: "a character is missing",
};

/**
 * YAML (and so JSON) to plain values; an empty file is an empty mapping. Throws a ConfigError that names lines and
 * columns and never quotes the text: it may hold secrets.
 */
export function parseFile(text: string): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    prettyErrors: false,
    lineCounter: lines,
    logLevel: "error",
    stringKeys: true,
  });
  if (document.errors.length > 0) throw new ConfigError(document.errors.map((error) => describe(error, lines)));
  try {
    return (document.toJS() as unknown) ?? {};
  } catch {
    // Without the cause: it quotes the alias, and an unquoted password may begin with an asterisk.
    throw new ConfigError([{ path: "", message: "the file's anchors and aliases cannot be resolved" }]);
  }
}

function describe(error: YAMLError, lines: LineCounter): ConfigFault {
  const { line, col } = lines.linePos(error.pos[0]);
  const phrase = phrases[error.code] ?? error.code.toLowerCase().replaceAll("_", " ");
  return { path: "", message: `line ${line}, column ${col}: ${phrase}` };
}
