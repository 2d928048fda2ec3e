import { LineCounter, parseDocument, type YAMLError } from "yaml";
import { ConfigError, type ConfigFault } from "./config-error.ts";

const phrases: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: "a tab in the indentation",
  BAD_INDENT: "wrong indentation",
  MISSING_CHAR: "a character is missing",
};

/**
 * YAML (and so JSON) to plain values; an empty file is an empty mapping. Throws a ConfigError that names lines and
 * columns and never quotes a value: it may be a secret.
 */
export function parseFile(text: string): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    prettyErrors: false,
    lineCounter: lines,
    logLevel: "error",
    stringKeys: true,
  });
  if (document.errors.length > 0)
    throw new ConfigError(document.errors.map((error) => describe(error, { text, lines })));
  try {
    return (document.toJS() as unknown) ?? {};
  } catch {
    // Without the cause: it quotes the alias, and an unquoted password may begin with an asterisk.
    throw new ConfigError([{ path: "", message: "the file's anchors and aliases cannot be resolved" }]);
  }
}

interface Source {
  readonly text: string;
  readonly lines: LineCounter;
}

function describe(error: YAMLError, { text, lines }: Source): ConfigFault {
  const { line, col } = lines.linePos(error.pos[0]);
  const isDouble = error.code === "DUPLICATE_KEY";
  const phrase = isDouble ? describeDouble(text.slice(error.pos[0])) : phrases[error.code];
  return {
    path: "",
    message: `line ${line}, column ${col}: ${phrase ?? error.code.toLowerCase().replaceAll("_", " ")}`,
  };
}

/** Only a word is repeated: `api_key:secret` without a space is one name. */
function describeDouble(rest: string): string {
  const name = /^(["']?)([A-Za-z_][\w.-]{0,39})\1\s*:\s/.exec(rest)?.[2];
  return name === undefined ? "the same member twice" : `\`${name}\` twice`;
}
