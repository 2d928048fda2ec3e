import * as fc from "fast-check";
import type { Arbitrary } from "fast-check";

export type Json = Readonly<Record<string, unknown>>;

export const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).filter((text) => text.trim() !== "");
/** Of tools, and of members of their inputs. */
export const name = fc.stringMatching(/^[a-zA-Z0-9_-]{1,24}$/);
export const optional = <T>(value: Arbitrary<T>): Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined, freq: 2 });
/** Many targets refuse these, and a body that is always refused shows nothing else. */
export const rare = <T>(value: Arbitrary<T>): Arbitrary<T | undefined> =>
  fc.oneof({ weight: 24, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });
export const cacheControl = optional(fc.constantFrom({ type: "ephemeral" }, { type: "ephemeral", ttl: "1h" }));
