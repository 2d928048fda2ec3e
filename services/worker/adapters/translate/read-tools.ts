import { clientTool } from "./client-tools.ts";
import { isAbsent, isFields, type Fields, type Reading } from "./reading.ts";

/** A tool that the caller runs. */
export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** JSON Schema of an object. */
  readonly schema: Fields;
  readonly strict: boolean;
  readonly path: string;
}

export type ToolChoice =
  | { readonly type: "auto" | "any" | "none"; readonly parallel: boolean }
  | { readonly type: "tool"; readonly name: string; readonly parallel: boolean };

const customMembers = new Set([
  "type",
  "name",
  "description",
  "input_schema",
  "strict",
  "eager_input_streaming",
  "defer_loading",
  "allowed_callers",
  "input_examples",
]);

export function readTools(reading: Reading, value: unknown): Tool[] {
  if (isAbsent(value)) return [];
  const tools: Tool[] = [];
  for (const [index, item] of reading.list(value, "tools").entries()) {
    const path = `tools.${index}`;
    const fields = reading.fields(item, path);
    const tool = isCustom(fields) ? readCustom(reading, fields, path) : readBuiltIn(reading, fields, path);
    if (tool) tools.push(tool);
  }
  return tools;
}

function isCustom({ type }: Fields): boolean {
  return isAbsent(type) || type === "custom";
}

function readCustom(reading: Reading, fields: Fields, path: string): Tool | undefined {
  reading.onlyMembers(fields, customMembers, path);
  if (!isCalledDirectly(fields)) {
    reading.adaptOrRefuse("tools for code execution left out", `${path}.allowed_callers`);
    return undefined;
  }
  for (const hint of ["eager_input_streaming", "defer_loading", "input_examples"])
    if (!isAbsent(fields[hint]) && fields[hint] !== false) reading.drop(hint);
  const description = reading.optionalText(fields["description"], `${path}.description`);
  return {
    name: reading.text(fields["name"], `${path}.name`),
    ...(description === undefined ? undefined : { description }),
    schema: reading.fields(fields["input_schema"], `${path}.input_schema`),
    strict: fields["strict"] === true,
    path,
  };
}

function isCalledDirectly({ allowed_callers: callers }: Fields): boolean {
  return !Array.isArray(callers) || callers.includes("direct");
}

/** Those that the caller runs become plain tools; those that Anthropic runs have no place elsewhere. */
function readBuiltIn(reading: Reading, fields: Fields, path: string): Tool | undefined {
  const type = reading.text(fields["type"], `${path}.type`);
  const known = clientTool(type);
  if (known) {
    reading.adapt("client tool as a plain tool");
    return { ...known, name: reading.optionalText(fields["name"], `${path}.name`) ?? known.name, strict: false, path };
  }
  reading.adaptOrRefuse("hosted tools left out", path);
  return undefined;
}

const choices = new Set(["auto", "any", "none", "tool"]);

/** Undefined when the caller leaves it to the API. */
export function readToolChoice(reading: Reading, value: unknown, tools: readonly Tool[]): ToolChoice | undefined {
  if (!isFields(value)) return isAbsent(value) ? undefined : reading.refuse("tool_choice", "Input should be an object");
  reading.onlyMembers(value, new Set(["type", "name", "disable_parallel_tool_use"]), "tool_choice");
  const type = reading.text(value["type"], "tool_choice.type");
  if (!choices.has(type)) reading.refuse("tool_choice.type", "Input should be auto, any, tool or none");
  const parallel = value["disable_parallel_tool_use"] !== true;
  if (type !== "tool") return { type: type as "auto" | "any" | "none", parallel };
  const name = reading.text(value["name"], "tool_choice.name");
  if (!tools.some((tool) => tool.name === name))
    reading.refuse("tool_choice.name", "names no tool that this provider can be given");
  return { type, name, parallel };
}
