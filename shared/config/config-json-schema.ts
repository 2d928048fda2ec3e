import { fileSchema } from "./file-schema.ts";

type Json = Readonly<Record<string, unknown>>;

/**
 * The file's schema for editors, as text: JSON Schema in which every member that is no free text may also be a
 * `${VARIABLE}`.
 */
export function configJsonSchema(): string {
  const schema = {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "sluice.yaml",
    ...(allowVariables(JSON.parse(JSON.stringify(fileSchema))) as Json),
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

const variable = { type: "string", pattern: "\\$\\{[A-Za-z_]" } as const;

/** Members that hold further schemas by name; their names are not keywords. */
const namedSchemas = new Set(["properties", "patternProperties"]);

function allowVariables(schema: unknown): unknown {
  if (Array.isArray(schema)) return (schema as unknown[]).map(allowVariables);
  if (!isMapping(schema)) return schema;
  const entries = Object.entries(schema).map(([keyword, value]) => {
    if (!namedSchemas.has(keyword) || !isMapping(value)) return [keyword, allowVariables(value)];
    return [keyword, Object.fromEntries(Object.entries(value).map(([name, member]) => [name, allowVariables(member)]))];
  });
  const copy = Object.fromEntries(entries) as Json;
  return isRestrictedLeaf(copy) ? wrap(copy) : copy;
}

function isRestrictedLeaf({ type, pattern, enum: values }: Json): boolean {
  return ["integer", "number", "boolean"].includes(String(type)) || pattern !== undefined || values !== undefined;
}

/** What describes the member stays outside, where editors look for it. */
function wrap({ description, default: fallback, errorMessage, ...shape }: Json): Json {
  const outside = { description, default: fallback, errorMessage };
  const told = Object.fromEntries(Object.entries(outside).filter(([, value]) => value !== undefined));
  return { ...told, anyOf: [shape, variable] };
}

function isMapping(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
