import { readFileSync } from "node:fs";
import type { ModelInfo } from "#shared/messages/model-info.ts";
import { parse } from "yaml";

/** Kinds of request that a model's provider answers with 400. */
export const modelRefusals = [
  "sampling",
  "forced_tool_choice",
  "prefill",
  "manual_thinking",
  "adaptive_thinking",
  "disabled_thinking",
] as const;
export type ModelRefusal = (typeof modelRefusals)[number];

export const effortLevels = ["low", "medium", "high", "xhigh", "max"] as const;
export const thinkingKinds = ["adaptive", "enabled", "disabled"] as const;

/** What models have that not all of them have. */
export interface BuiltinCapabilities {
  /** Empty: effort cannot be chosen. */
  readonly effort: readonly (typeof effortLevels)[number][];
  readonly thinking: readonly (typeof thinkingKinds)[number][];
  readonly compaction?: boolean;
}

/** US dollars per million tokens. */
export interface BuiltinRates {
  readonly input: number;
  readonly output: number;
  readonly cache_write_5m: number;
  readonly cache_write_1h: number;
  readonly cache_read: number;
}

export interface BuiltinPrice {
  /** A date, by UTC; absent in the oldest: from the beginning. */
  readonly since?: string;
  /** The day the price was read. */
  readonly checked: string;
  readonly source: "vendor" | "secondary";
  readonly rates: BuiltinRates;
  readonly long_prompt?: { readonly above: number; readonly rates: BuiltinRates };
  readonly batch: number;
  readonly inference_geo?: Readonly<Record<string, number>>;
  readonly speed?: Readonly<Record<string, number>>;
  /** Per thousand. */
  readonly web_search?: number;
}

/** One entry of models.yaml. */
export interface BuiltinModel {
  readonly display_name: string;
  readonly line: Exclude<ModelInfo["line"], null>;
  /** A date, by UTC. */
  readonly created_at?: string;
  readonly max_input_tokens: number;
  readonly max_tokens: number;
  readonly min_cached_tokens?: number;
  readonly aliases?: readonly string[];
  readonly lifecycle?: ModelInfo["lifecycle"];
  /** A date, by UTC. */
  readonly retires_at?: string;
  readonly capabilities: BuiltinCapabilities;
  readonly refuses: readonly ModelRefusal[];
  /** Newest first. */
  readonly prices?: readonly BuiltinPrice[];
}

const file = new URL("models.yaml", import.meta.url);

/** The text of models.yaml. */
export function readModelsFile(): string {
  return readFileSync(file, "utf8");
}

/** Reads models.yaml: every current Claude model by name, newest first. `check-models.ts` is what holds it to its type. */
export function readBuiltinModels(): ReadonlyMap<string, BuiltinModel> {
  return new Map(Object.entries(parse(readModelsFile()) as Record<string, BuiltinModel>));
}
