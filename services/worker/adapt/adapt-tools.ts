import type { CatalogueModel } from "#shared/routing/catalogue.ts";
import { isFields, type Fields } from "../adapters/translate/reading.ts";
import type { Draft } from "./draft.ts";
import { hasWire, toolPrefix } from "./wire-features.ts";

/** Leaves out tools that the wire has not, and lets the model choose where it cannot be made to. */
export function adaptTools(
  { body, notes }: Draft,
  { wire, refuses }: { readonly wire: string; readonly refuses: CatalogueModel["refuses"] },
): void {
  const { tools, tool_choice: choice } = body;
  const gone = Array.isArray(tools) ? tools.filter((tool) => !isThere(tool, wire)) : [];
  if (gone.length > 0 && Array.isArray(tools)) {
    body["tools"] = tools.filter((tool) => !gone.includes(tool));
    for (const tool of gone) notes.add(`dropped: tool ${toolPrefix(tool)}`);
  }
  if (isFields(choice) && isImpossible(choice, { gone, refuses })) {
    body["tool_choice"] = { ...withoutName(choice), type: "auto" };
    notes.add("adapted: tool_choice");
  }
  if (Array.isArray(body["tools"]) && body["tools"].length === 0 && gone.length > 0) {
    delete body["tools"];
    delete body["tool_choice"];
  }
}

interface Given {
  readonly gone: readonly unknown[];
  readonly refuses: CatalogueModel["refuses"];
}

function isImpossible({ type, name }: Fields, { gone, refuses }: Given): boolean {
  if (type !== "any" && type !== "tool") return false;
  if (refuses.has("forced_tool_choice")) return true;
  return type === "tool" && gone.some((tool) => isFields(tool) && tool["name"] === name);
}

function withoutName(choice: Fields): Fields {
  return Object.fromEntries(Object.entries(choice).filter(([member]) => member !== "name"));
}

function isThere(tool: unknown, wire: string): boolean {
  const prefix = toolPrefix(tool);
  return prefix === undefined || hasWire(prefix, wire);
}
