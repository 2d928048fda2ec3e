import type { MessagesRequest } from "../translate/messages-request.ts";
import type { Tool, ToolChoice } from "../translate/read-tools.ts";
import type { Reading } from "../translate/reading.ts";
import { toFunctionName } from "./function-name.ts";
import type { ModelTraits } from "./model-traits.ts";
import { toGeminiSchema } from "./to-gemini-schema.ts";
import type { FunctionCallingConfig, FunctionDeclaration, GenerateContentRequest } from "./wire.ts";

interface ToolsScope {
  readonly traits: ModelTraits;
  readonly reading: Reading;
}

/** `tools` and `toolConfig`, as members to spread. */
export function encodeTools(
  { tools, toolChoice }: MessagesRequest,
  scope: ToolsScope,
): Pick<GenerateContentRequest, "tools" | "toolConfig"> {
  if (tools.length === 0) return {};
  const functionCallingConfig = encodeChoice(tools, toolChoice, scope);
  return {
    tools: [{ functionDeclarations: tools.map((tool) => encodeTool(tool, scope)) }],
    ...(functionCallingConfig ? { toolConfig: { functionCallingConfig } } : {}),
  };
}

function encodeTool({ name, description, schema }: Tool, { traits, reading }: ToolsScope): FunctionDeclaration {
  const declaration = { name: toFunctionName(name), ...(description === undefined ? {} : { description }) };
  if (traits.jsonSchema) return { ...declaration, parametersJsonSchema: schema };
  reading.adapt("input_schema in the model's subset");
  // The subset has no object without properties.
  const { properties } = schema;
  const isEmpty = typeof properties !== "object" || properties === null || Object.keys(properties).length === 0;
  return isEmpty && schema["$ref"] === undefined && schema["allOf"] === undefined
    ? declaration
    : { ...declaration, parameters: toGeminiSchema(schema) };
}

function encodeChoice(
  tools: readonly Tool[],
  choice: ToolChoice | undefined,
  { reading }: ToolsScope,
): FunctionCallingConfig | undefined {
  // There is no word for it: the decoder leaves out all calls but the first.
  if (choice && !choice.parallel && choice.type !== "none") reading.adapt("all calls but the first left out");
  switch (choice?.type) {
    case "any":
      return { mode: "ANY" };
    case "tool":
      return { mode: "ANY", allowedFunctionNames: [toFunctionName(choice.name)] };
    case "none":
      return { mode: "NONE" };
    case "auto":
    case undefined:
    default:
      // Holds arguments to their schemas, as forced calls always are.
      if (tools.some(({ strict }) => strict)) return { mode: "VALIDATED" };
      return choice ? { mode: "AUTO" } : undefined;
  }
}
