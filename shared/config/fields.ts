import { Type, type TSchema } from "typebox";

/**
 * One member of the file: how it is written, what it means, what it is when it is not there. `errorMessage` in its
 * schema is what an editor and our own report say of a bad value.
 */
export interface Field<T> {
  /** As in the file; if absent, the key of the section in snake_case without `Ms`. */
  readonly name?: string;
  readonly schema: TSchema;
  readonly read: (value: unknown) => T;
  readonly fallback: T;
}

interface TextRule {
  readonly pattern: string;
  readonly errorMessage: string;
}

const rule = (pattern: string, errorMessage: string): TextRule => ({ pattern, errorMessage });

/** Patterns that several members share. */
export const rules = {
  httpUrl: rule(
    "^https?://[^\\s/?#@]+(?:/[^\\s?#]*)?$",
    "must be an http(s) URL without credentials, query or fragment",
  ),
  emptyOrHttpUrl: rule("^(?:https?://[^\\s/?#@]+(?:/[^\\s?#]*)?)?$", "must be an http(s) URL, or empty"),
  redisUrl: rule("^(?:rediss?://\\S+|unix:/\\S+)$", "must be a redis:// or rediss:// URL, or unix:/path"),
  listenAddress: rule("^(?:\\S+:\\d{1,5}|unix:/\\S+)$", "must be host:port or unix:/path"),
  word: rule("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "must be a word of letters, digits, `.`, `_`, `-`"),
  instant: rule(
    "^\\d{4}-\\d\\d-\\d\\d(?:[T ]\\d\\d:\\d\\d.*)?$",
    "must be a date such as 2027-01-31 or 2027-01-31T12:00:00Z",
  ),
  sha256: rule("^[0-9a-fA-F]{64}$", "must be 64 hex digits"),
} as const;

export function text(description: string, fallback: string, rule?: TextRule): Field<string> {
  return { schema: textSchema(description, { ...rule, default: fallback }), read: String, fallback };
}

/** The schema of a text; without a rule it may be anything but empty, unless its default is. */
export function textSchema(description: string, options: Partial<TextRule> & { default?: string } = {}): TSchema {
  const needsText = options.pattern === undefined && options.default !== "";
  const errorMessage = needsText ? "must be text, and not empty" : "must be text";
  return Type.String({ errorMessage, ...(needsText ? { minLength: 1 } : {}), ...options, description });
}

interface Range {
  readonly min: number;
  readonly max: number;
}

export function integer(description: string, fallback: number, range: Range): Field<number> {
  return { schema: integerSchema(description, range, fallback), read: Number, fallback };
}

export function integerSchema(description: string, { min, max }: Range, fallback?: number): TSchema {
  const limits = max === Number.MAX_SAFE_INTEGER ? `, at least ${min}` : ` from ${min} to ${max}`;
  return Type.Integer({
    description,
    minimum: min,
    maximum: max,
    errorMessage: `must be a whole number${limits}`,
    ...(fallback === undefined ? {} : { default: fallback }),
  });
}

export function port(description: string, fallback: number): Field<number> {
  return integer(description, fallback, { min: 0, max: 65_535 });
}

export function flag(description: string, fallback: boolean): Field<boolean> {
  return { schema: flagSchema(description, fallback), read: Boolean, fallback };
}

export function flagSchema(description: string, fallback?: boolean): TSchema {
  const errorMessage = "must be true or false";
  return Type.Boolean({ description, errorMessage, ...(fallback === undefined ? {} : { default: fallback }) });
}

export function choiceSchema(description: string, values: readonly string[], fallback?: string): TSchema {
  const errorMessage = `must be one of ${values.join(", ")}`;
  return Type.Enum([...values], {
    description,
    errorMessage,
    ...(fallback === undefined ? {} : { default: fallback }),
  });
}

export function listSchema(description: string, items: TSchema): TSchema {
  return Type.Array(items, { description, errorMessage: "must be a list" });
}

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time span: `500ms`, `240s`, `10m`, `1h`, or a number of seconds. Here in milliseconds. */
export function duration(description: string, fallbackMs: number, name?: string): Field<number> {
  const schema = Type.Union(
    [Type.Number({ minimum: 0 }), Type.String({ pattern: "^\\d+(?:\\.\\d+)?(?:ms|s|m|h|d)$" })],
    {
      description,
      default: fallbackMs % 1_000 === 0 ? `${fallbackMs / 1_000}s` : `${fallbackMs}ms`,
      errorMessage: "must be a time such as 500ms, 240s, 10m, or a number of seconds",
    },
  );
  return { schema, read: readDuration, fallback: fallbackMs, ...(name ? { name } : {}) };
}

function readDuration(value: unknown): number {
  if (typeof value === "number") return Math.round(value * 1_000);
  return Math.round(readUnit(String(value), durationUnits));
}

const sizeUnits: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** A number of bytes: `32MiB`, or a plain number. */
export function size(description: string, fallbackBytes: number): Field<number> {
  const schema = Type.Union([Type.Integer({ minimum: 1 }), Type.String({ pattern: "^\\d+(?:B|KiB|MiB|GiB)$" })], {
    description,
    default: fallbackBytes,
    errorMessage: "must be a size such as 512KiB, 32MiB, or a number of bytes",
  });
  const read = (value: unknown): number => (typeof value === "number" ? value : readUnit(String(value), sizeUnits));
  return { schema, read, fallback: fallbackBytes };
}

function readUnit(written: string, units: Readonly<Record<string, number>>): number {
  const unit = /[A-Za-z]+$/.exec(written)?.[0] ?? "";
  return Number.parseFloat(written) * (units[unit] ?? 1);
}
