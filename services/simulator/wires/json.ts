/** A JSON object of whatever members. */
export type Json = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object that this is; an empty one when it is none. */
export function asObject(value: unknown): Json {
  return isObject(value) ? value : {};
}

/** The list that this is; an empty one when it is none. */
export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
