import { isFields, type Fields } from "../translate/reading.ts";

const unsupported = ["oneOf", "allOf", "not", "if", "then", "else", "patternProperties", "dependentSchemas"];

/** Whether strict mode takes this schema: every object closed, every property required. Otherwise it answers 400. */
export function isStrictSchema(schema: Fields): boolean {
  return schema["type"] === "object" && isStrict(schema);
}

function isStrict(schema: unknown): boolean {
  if (!isFields(schema)) return schema === true;
  if (unsupported.some((keyword) => keyword in schema)) return false;
  if (schema["type"] === "object" || "properties" in schema) {
    if (!isClosedObject(schema)) return false;
  }
  return children(schema).every(isStrict);
}

function isClosedObject({ properties, required, additionalProperties }: Fields): boolean {
  const names = isFields(properties) ? Object.keys(properties) : [];
  const asked: readonly unknown[] = Array.isArray(required) ? required : [];
  return additionalProperties === false && names.every((name) => asked.includes(name));
}

function children(schema: Fields): unknown[] {
  const { properties, items, anyOf, $defs, definitions } = schema;
  const maps = [properties, $defs, definitions].filter(isFields).flatMap((map) => Object.values(map));
  return [...maps, ...(isFields(items) ? [items] : []), ...(Array.isArray(anyOf) ? (anyOf as unknown[]) : [])];
}
