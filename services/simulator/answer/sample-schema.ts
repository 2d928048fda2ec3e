type Schema = Readonly<Record<string, unknown>>;

const deepest = 12;

const byFormat: Readonly<Record<string, string>> = {
  date: "2026-11-21",
  "date-time": "2026-11-21T12:00:00Z",
  time: "12:00:00Z",
  duration: "PT5M",
  email: "ada@example.com",
  hostname: "example.com",
  uri: "https://example.com/",
  ipv4: "192.0.2.1",
  ipv6: "2001:db8::1",
  uuid: "6f2b3c1e-8a50-4d8e-9b1a-3f0f5f1f7c11",
};

const byName: readonly (readonly [RegExp, string])[] = [
  [/city|town|location|place/i, "Oslo"],
  [/country/i, "Norway"],
  [/url|uri|link/i, "https://example.com/"],
  [/mail/i, "ada@example.com"],
  [/path|file/i, "README.md"],
  [/command|cmd/i, "echo hello"],
  [/pattern|regex/i, ".*"],
  [/unit/i, "celsius"],
  [/name/i, "Ada"],
  [/date|day/i, "2026-11-21"],
];

/**
 * A value that fits a JSON schema, the same each time: required and optional properties are all there, the first of an
 * `enum`, `anyOf` or `oneOf` is taken, references into the schema itself are followed.
 * @param text what a string says when neither schema nor name suggests better
 */
export function sampleSchema(schema: unknown, text: string): unknown {
  return sample(schema, { root: asSchema(schema), text, name: "", depth: 0 });
}

interface Place {
  readonly root: Schema;
  readonly text: string;
  readonly name: string;
  readonly depth: number;
}

function sample(value: unknown, place: Place): unknown {
  const schema = resolve(asSchema(value), place.root);
  if ("const" in schema) return schema["const"];
  if ("default" in schema) return schema["default"];
  for (const key of ["enum", "examples"]) {
    const choices = schema[key];
    if (Array.isArray(choices) && choices.length > 0) return choices[0];
  }
  for (const key of ["anyOf", "oneOf"]) {
    const choices = schema[key];
    if (Array.isArray(choices) && choices.length > 0)
      return sample(choices.find((choice) => typeOf(asSchema(choice)) !== "null") ?? choices[0], place);
  }
  return sampleOfType(schema, place);
}

function sampleOfType(schema: Schema, place: Place): unknown {
  switch (typeOf(schema) ?? "string") {
    case "object":
      return sampleObject(schema, place);
    case "array":
      return sampleArray(schema, place);
    case "integer":
    case "number":
      return sampleNumber(schema);
    case "boolean":
      return true;
    case "null":
      return null;
    default:
      return sampleString(schema, place);
  }
}

function sampleObject(schema: Schema, place: Place): Record<string, unknown> {
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  const result: Record<string, unknown> = {};
  const properties = Object.entries(asSchema(schema["properties"]));
  // Required ones first, as Claude writes them.
  properties.sort(([a], [b]) => Number(required.includes(b)) - Number(required.includes(a)));
  for (const [name, property] of properties) {
    if (place.depth >= deepest && !required.includes(name)) continue;
    if (place.depth >= 4 * deepest) break;
    result[name] = sample(property, { ...place, name, depth: place.depth + 1 });
  }
  return result;
}

function sampleArray(schema: Schema, place: Place): unknown[] {
  if (place.depth >= deepest || schema["items"] === undefined) return [];
  const length = Math.max(1, Number(schema["minItems"] ?? 1));
  return Array.from({ length }, () => sample(schema["items"], { ...place, depth: place.depth + 1 }));
}

function sampleNumber(schema: Schema): number {
  const least = Number(schema["minimum"] ?? Number(schema["exclusiveMinimum"] ?? 0) + 1);
  const most = Number(schema["maximum"] ?? Infinity);
  return Math.min(least, most);
}

function sampleString(schema: Schema, place: Place): string {
  const format = byFormat[String(schema["format"])];
  if (format !== undefined) return format;
  const known = byName.find(([name]) => name.test(place.name));
  const text = known ? known[1] : place.text;
  const most = Number(schema["maxLength"] ?? Infinity);
  return text.slice(0, most).padEnd(Number(schema["minLength"] ?? 0), ".");
}

function typeOf(schema: Schema): string | undefined {
  const types: readonly unknown[] = Array.isArray(schema["type"]) ? schema["type"] : [schema["type"]];
  const type = types.find((one) => one !== "null") ?? types[0];
  if (typeof type === "string") return type;
  if ("properties" in schema) return "object";
  return "items" in schema ? "array" : undefined;
}

function resolve(schema: Schema, root: Schema): Schema {
  let resolved = schema;
  for (let hops = 0; typeof resolved["$ref"] === "string" && hops < deepest; hops++) {
    let target: unknown = root;
    for (const part of resolved["$ref"].replace(/^#\/?/, "").split("/"))
      if (part !== "") target = asSchema(target)[part.replaceAll("~1", "/").replaceAll("~0", "~")];
    resolved = asSchema(target);
  }
  const parts = resolved["allOf"];
  return Array.isArray(parts)
    ? parts.reduce<Schema>((all, part) => merge(all, resolve(asSchema(part), root)), resolved)
    : resolved;
}

function merge(a: Schema, b: Schema): Schema {
  return { ...a, ...b, properties: { ...asSchema(a["properties"]), ...asSchema(b["properties"]) } };
}

function asSchema(value: unknown): Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Schema) : {};
}
