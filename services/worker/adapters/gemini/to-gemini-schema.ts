type Json = Readonly<Record<string, unknown>>;

/** Members that mean the same in both languages. */
const kept = new Set([
  "title",
  "description",
  "default",
  "example",
  "minimum",
  "maximum",
  "minItems",
  "maxItems",
  "minLength",
  "maxLength",
  "minProperties",
  "maxProperties",
  "pattern",
  "required",
  "propertyOrdering",
]);
const formats = new Set(["enum", "date-time", "float", "double", "int32", "int64"]);
/** A schema that contains itself is cut here. */
const deepest = 24;
/** References can make a large schema of a small one. */
const mostNodes = 2000;

interface Scope {
  readonly root: Json;
  readonly depth: number;
  readonly spent: { nodes: number };
}

/**
 * A JSON Schema in the subset of OpenAPI's that models before Gemini 2.5 know: types in capitals, `nullable` for null,
 * references put in place, one of several for `oneOf`. What the subset has no word for is left out, so the result may
 * allow more than the original, never less; of `allOf` the parts are laid over one another.
 */
export function toGeminiSchema(schema: unknown): unknown {
  const root = isJson(schema) ? schema : {};
  return convert(root, { root, depth: 0, spent: { nodes: 0 } });
}

function convert(given: unknown, scope: Scope): Json {
  scope.spent.nodes += 1;
  if (scope.depth > deepest || scope.spent.nodes > mostNodes) return { type: "OBJECT" };
  const schema = merged(resolve(given, scope), scope);
  const inner: Scope = { ...scope, depth: scope.depth + 1 };
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(schema)) if (kept.has(name)) result[name] = value;
  if (formats.has(String(schema["format"]))) result["format"] = schema["format"];
  Object.assign(result, typeMembers(schema, inner));
  takeEnum(schema, result);
  const { items, properties } = schema;
  if (items !== undefined) result["items"] = convert(Array.isArray(items) ? items[0] : items, inner);
  else if (result["type"] === "ARRAY") result["items"] = {};
  if (isJson(properties))
    result["properties"] = Object.fromEntries(
      Object.entries(properties).map(([name, value]) => [name, convert(value, inner)]),
    );
  return result;
}

/** `type`, `anyOf` and `nullable`. */
function typeMembers(schema: Json, inner: Scope): Json {
  const types = (Array.isArray(schema["type"]) ? schema["type"] : [schema["type"]]).filter(
    (type) => typeof type === "string",
  );
  const choices = [schema["anyOf"], schema["oneOf"]].find(Array.isArray)?.map((choice) => resolve(choice, inner)) ?? [];
  const isNullable =
    types.includes("null") || choices.some(({ type }) => type === "null") || schema["nullable"] === true;
  const named = types.filter((type) => type !== "null");
  const converted = choices.filter(({ type }) => type !== "null").map((choice) => convert(choice, inner));
  const nullable = isNullable ? { nullable: true } : {};
  if (converted.length === 1) return { ...converted[0], ...nullable };
  if (converted.length > 1) return { anyOf: converted, ...nullable };
  if (named.length > 1) return { anyOf: named.map((type) => ({ type: type.toUpperCase() })), ...nullable };
  const [type = impliedType(schema)] = named;
  return type === undefined ? nullable : { type: type.toUpperCase(), ...nullable };
}

function impliedType(schema: Json): string | undefined {
  if ("properties" in schema) return "object";
  if ("items" in schema) return "array";
  const sample = "const" in schema ? schema["const"] : list(schema["enum"])[0];
  return typeof sample === "string" || typeof sample === "number" || typeof sample === "boolean"
    ? typeof sample
    : undefined;
}

/** Values are words there, whatever their type. Of true and false, and of lists and objects, it has none. */
function takeEnum(schema: Json, result: Record<string, unknown>): void {
  const values = "const" in schema ? [schema["const"]] : Array.isArray(schema["enum"]) ? schema["enum"] : [];
  const words = values.filter((value) => typeof value === "string" || typeof value === "number").map(String);
  if (words.length === 0) return;
  result["enum"] = words;
  result["format"] = "enum";
  if (values.includes(null)) result["nullable"] = true;
}

function merged(schema: Json, scope: Scope): Json {
  const parts = schema["allOf"];
  if (!Array.isArray(parts)) return schema;
  let result: Json = schema;
  for (const part of parts) {
    const layer = resolve(part, scope);
    result = {
      ...result,
      ...layer,
      ...(isJson(layer["properties"])
        ? { properties: { ...(isJson(result["properties"]) ? result["properties"] : {}), ...layer["properties"] } }
        : {}),
      ...(Array.isArray(layer["required"])
        ? { required: [...list(result["required"]), ...list(layer["required"])] }
        : {}),
    };
  }
  return result;
}

/** The schema that a local reference points to, with what stands beside the reference. */
function resolve(given: unknown, scope: Scope): Json {
  if (!isJson(given)) return {};
  const reference = given["$ref"];
  if (typeof reference !== "string" || scope.depth > deepest) return given;
  let target: unknown = scope.root;
  for (const step of reference.replace(/^#\/?/, "").split("/").filter(Boolean)) {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    target = isJson(target) && Object.hasOwn(target, name) ? target[name] : undefined;
  }
  const { $ref: _, ...beside } = given;
  return { ...resolve(target, { ...scope, depth: scope.depth + 1 }), ...beside };
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
