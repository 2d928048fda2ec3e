import type { Catalogue } from "#shared/routing/catalogue.ts";
import type { Caller } from "../plugins/keyring.ts";

/** Which models somebody may ask for at an endpoint. */
export interface ModelRules {
  readonly catalogue: Catalogue;
  readonly caller: Caller;
  /** Under the prefixes where only Claude models are served, with their own words for it. */
  readonly claudeOnly: boolean;
  /** What was guessed for unknown names, where many may come: bounds how often it is. */
  readonly guesses?: Map<string, string>;
}
