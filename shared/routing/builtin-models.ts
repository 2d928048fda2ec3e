import { readFileSync } from "node:fs";
import type { ModelInfo } from "#shared/messages/model-info.ts";
import { parse } from "yaml";

/** One entry of models.yaml. */
export interface BuiltinModel {
  readonly display_name: string;
  readonly line: Exclude<ModelInfo["line"], null>;
  /** A date, by UTC. */
  readonly created_at?: string;
  readonly max_input_tokens: number;
  readonly max_tokens: number;
  readonly aliases?: readonly string[];
  readonly lifecycle?: ModelInfo["lifecycle"];
  /** A date, by UTC. */
  readonly retires_at?: string;
}

/** Reads models.yaml: every current Claude model by name, newest first. */
export function readBuiltinModels(): ReadonlyMap<string, BuiltinModel> {
  const text = readFileSync(new URL("models.yaml", import.meta.url), "utf8");
  return new Map(Object.entries(parse(text) as Record<string, BuiltinModel>));
}
