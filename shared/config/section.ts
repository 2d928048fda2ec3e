import { Type, type TSchema } from "typebox";
import type { Field } from "./fields.ts";

/** The fields of one section, by the key they have in the configuration. */
export type Fields = Readonly<Record<string, Field<unknown>>>;
export type SectionOf<F extends Fields> = { readonly [Key in keyof F]: F[Key] extends Field<infer T> ? T : never };

/** The name of a field in the file: `heartbeatAfterMs` is written `heartbeat_after`. */
function fileName(key: string, field: Field<unknown>): string {
  return field.name ?? key.replace(/Ms$/, "").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function sectionSchema(description: string, fields: Fields): TSchema {
  const members = Object.entries(fields).map(([key, field]) => [fileName(key, field), Type.Optional(field.schema)]);
  return closedObject(description, Object.fromEntries(members) as Record<string, TSchema>);
}

/** An object that refuses members it does not name. */
export function closedObject(description: string, members: Record<string, TSchema>): TSchema {
  return Type.Object(members, { additionalProperties: false, description, errorMessage: "must be a mapping" });
}

/** What a checked section of the file says, with the rest filled in. */
export function readSection<F extends Fields>(
  fields: F,
  written: Readonly<Record<string, unknown>> = {},
): SectionOf<F> {
  const entries = Object.entries(fields).map(([key, field]) => {
    const value = written[fileName(key, field)];
    return [key, value === undefined ? field.fallback : field.read(value)];
  });
  return Object.fromEntries(entries) as SectionOf<F>;
}
