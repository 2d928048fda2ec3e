import type { Fields } from "./reading.ts";

interface ClientTool {
  readonly name: string;
  readonly description: string;
  readonly schema: Fields;
}

const text = { type: "string" } as const;
const lines = {
  type: "array",
  items: { type: "integer" },
  description: "First and last line; -1 is the end.",
} as const;

function object(properties: Fields, required: readonly string[]): Fields {
  return { type: "object", properties, required };
}

const editing = {
  path: text,
  file_text: text,
  old_str: text,
  new_str: text,
  insert_line: { type: "integer" },
  insert_text: text,
  view_range: lines,
} as const;

/** Tools that Claude knows by their type alone, described for models that do not; the caller runs them all the same. */
const table: readonly (readonly [prefix: string, tool: ClientTool])[] = [
  [
    "bash_",
    {
      name: "bash",
      description: "Runs a command in a persistent shell and returns what it printed. `restart` begins a new shell.",
      schema: object({ command: text, restart: { type: "boolean" } }, []),
    },
  ],
  [
    "text_editor_",
    {
      name: "str_replace_based_edit_tool",
      description: "Views, creates and edits text files. `old_str` must occur exactly once in the file.",
      schema: object({ command: { enum: ["view", "create", "str_replace", "insert"] }, ...editing }, [
        "command",
        "path",
      ]),
    },
  ],
  [
    "memory_",
    {
      name: "memory",
      description: "Keeps notes between conversations as files below /memories.",
      schema: object(
        {
          command: { enum: ["view", "create", "str_replace", "insert", "delete", "rename"] },
          ...editing,
          old_path: text,
          new_path: text,
        },
        ["command"],
      ),
    },
  ],
];

/** The tool behind a type such as `bash_20250124`; undefined for what Anthropic runs, or needs a trained model. */
export function clientTool(type: string): ClientTool | undefined {
  return table.find(([prefix]) => type.startsWith(prefix) && /^\d{8}$/.test(type.slice(prefix.length)))?.[1];
}
