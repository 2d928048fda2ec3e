import { foreignSignature, readForeignSignature } from "../translate/foreign-thinking.ts";

/**
 * Gemini signs a part of its answer, and wants the signature back on that very part. Messages has a place for one on
 * thinking blocks only: so each travels on a thinking block, with the kind of part that it belongs to.
 * `call`: the function call behind the block. `text`: the text before it. `thought`: the block's own thought.
 */
export interface ThoughtSignature {
  readonly on: "call" | "text" | "thought";
  /** The model that made it, as it calls itself. */
  readonly model: string;
  /** Base64. */
  readonly value: string;
}

const places: ReadonlySet<string> = new Set(["call", "text", "thought"]);

/** Lets a call that has lost its signature pass, such as one that another model made. */
export const unsignedCall = "skip_thought_signature_validator";

/** The signature of a thinking block that carries this; without one, of a block that is only marked as foreign. */
export function encodeSignature(signature?: ThoughtSignature): string {
  if (!signature) return foreignSignature({ type: "gemini" });
  const model = signature.model.replaceAll(/[^\w.-]/g, "");
  return foreignSignature({ type: "gemini", opaque: `${signature.on}:${model}:${signature.value}` });
}

/** What a thinking block's signature carries; undefined when it is not ours, or of a generation that `model` can't read. */
export function decodeSignature(blockSignature: string, model: string): ThoughtSignature | undefined {
  const foreign = readForeignSignature(blockSignature);
  if (foreign?.type !== "gemini" || foreign.opaque === undefined) return undefined;
  const [on = "", madeBy = "", value = ""] = foreign.opaque.split(":");
  if (!places.has(on) || value === "") return undefined;
  const [made, asked] = [generationOf(madeBy), generationOf(model)];
  const isReadable = made === undefined || asked === undefined || made === asked;
  return isReadable ? { on: on as ThoughtSignature["on"], model: madeBy, value } : undefined;
}

/** 3 of `gemini-3.1-pro-preview`; undefined for a name that does not say. */
function generationOf(model: string): string | undefined {
  return /gemini-(\d+)(?![\d])/.exec(model)?.[1];
}
