import type { ThinkingLevel } from "./wire.ts";

/** What a model takes, told by its name: the wire is one for all of them, and a member that a model does not know is a 400. */
export interface ModelTraits {
  /** 2.5 for `gemini-2.5-flash`; the newest for a name without a number. */
  readonly version: number;
  /** Full JSON Schema for tools and structured outputs; older models take Google's subset. */
  readonly jsonSchema: boolean;
  /** How its thinking is set: not at all, by a number of tokens, by a level. */
  readonly thinking: "none" | "budget" | "level";
  readonly budget: BudgetRange;
  /** The model refuses a function call of the current turn that has lost its thought signature. */
  readonly needsSignatures: boolean;
  /** More is a 400. */
  readonly mostOutputTokens: number;
  /** A function's response may carry images and documents. */
  readonly mediaInResponses: boolean;
  /** Fetches `https:` addresses itself. */
  readonly fetchesUrls: boolean;
  /** The levels it knows; `off` is what comes nearest to none. */
  readonly levels: Readonly<Record<"off" | "low" | "medium" | "high", ThinkingLevel>>;
}

/** Tokens of thinking; `off` is what comes nearest to none. */
interface BudgetRange {
  readonly off: number;
  readonly least: number;
  readonly most: number;
}

const newest = 3;
/** Tuned models and those of other families: what every model of today takes. */
const unknown = 2.5;

export function traitsOf(model: string): ModelTraits {
  const name = model.slice(model.lastIndexOf("/") + 1);
  const version = versionOf(name);
  const isPro = name.includes("pro");
  return {
    version,
    jsonSchema: version >= 2.5,
    thinking: version >= 3 ? "level" : version >= 2.5 ? "budget" : "none",
    budget: budgetOf(name),
    mostOutputTokens: version >= 2.5 ? 65_536 : 8192,
    needsSignatures: version >= 3,
    mediaInResponses: version >= 3,
    fetchesUrls: version >= 2.5,
    levels: {
      off: isPro ? "LOW" : "MINIMAL",
      low: "LOW",
      medium: isPro && version === 3 ? "HIGH" : "MEDIUM",
      high: "HIGH",
    },
  };
}

/** 2.5 of `gemini-2.5-flash`. */
function versionOf(name: string): number {
  const [family, number] = /^gemini-(?:(\d+(?:\.\d+)?)(?=-|$))?/.exec(name) ?? [];
  if (family === undefined) return unknown;
  return number === undefined ? newest : Number(number);
}

function budgetOf(name: string): BudgetRange {
  if (name.includes("pro")) return { off: 128, least: 128, most: 32_768 };
  return { off: 0, least: name.includes("lite") ? 512 : 1, most: 24_576 };
}
