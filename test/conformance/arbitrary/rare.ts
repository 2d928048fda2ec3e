import type { Json } from "./words.ts";

/** Something that few requests have: what it adds to one. */
export interface Rare {
  readonly members?: Json;
  readonly tool?: Json;
  /** Turns behind the first one. */
  readonly turns?: readonly Json[];
}
