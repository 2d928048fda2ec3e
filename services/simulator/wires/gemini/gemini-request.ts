import { GoogleApiError } from "./google-error.ts";
import { asArray, asObject, isObject, type Json } from "../json.ts";

/** A body whose shape was checked; `contents` are those of a count's request too. */
export interface GeminiRequest {
  readonly contents: readonly GeminiContent[];
  readonly system: readonly Json[];
  readonly functions: readonly Json[];
  readonly choice: Json;
  readonly generation: Json;
}

interface GeminiContent {
  readonly role: string;
  readonly parts: readonly Json[];
}

const requestMembers = wordSet(
  "contents systemInstruction tools toolConfig generationConfig safetySettings labels cachedContent",
  "generateContentRequest model store serviceTier",
);
const partMembers = wordSet(
  "text thought thoughtSignature inlineData fileData functionCall functionResponse",
  "executableCode codeExecutionResult videoMetadata mediaResolution",
);
const generationMembers = wordSet(
  "temperature topP topK candidateCount maxOutputTokens stopSequences seed thinkingConfig",
  "responseMimeType responseSchema responseJsonSchema responseModalities mediaResolution",
  "presencePenalty frequencyPenalty logprobs responseLogprobs",
);

function wordSet(...lines: readonly string[]): ReadonlySet<string> {
  return new Set(lines.flatMap((line) => line.split(" ")));
}

/**
 * Checks what Google checks: members it knows, turns, calls with their responses, signatures of the current turn.
 * @throws GoogleApiError 400
 */
export function readGeminiRequest(body: Json, model: string): GeminiRequest {
  refuseUnknown(body, requestMembers, "");
  const inner = isObject(body["generateContentRequest"]) ? body["generateContentRequest"] : body;
  refuseUnknown(inner, requestMembers, "generate_content_request");
  const contents = asArray(inner["contents"]).map(readContent);
  if (contents.length === 0)
    throw new GoogleApiError(400, "* GenerateContentRequest.contents: contents is not specified");
  checkCalls(contents, model);
  const generation = asObject(inner["generationConfig"]);
  refuseUnknown(generation, generationMembers, "generation_config");
  return {
    contents,
    generation,
    system: asArray(asObject(inner["systemInstruction"])["parts"]).filter(isObject),
    functions: asArray(inner["tools"])
      .filter(isObject)
      .flatMap((tool) => asArray(tool["functionDeclarations"]).filter(isObject)),
    choice: asObject(asObject(inner["toolConfig"])["functionCallingConfig"]),
  };
}

function readContent(value: unknown, index: number): GeminiContent {
  const content = asObject(value);
  const { role = "user" } = content;
  if (role !== "user" && role !== "model") throw new GoogleApiError(400, "Please use a valid role: user, model.");
  const parts = asArray(content["parts"]).filter(isObject);
  if (parts.length === 0)
    throw new GoogleApiError(
      400,
      `* GenerateContentRequest.contents[${index}].parts: contents.parts must not be empty.`,
    );
  for (const part of parts) {
    refuseUnknown(part, partMembers, `contents[${index}].parts`);
    const data = ["text", "inlineData", "fileData", "functionCall", "functionResponse"].filter((name) => name in part);
    if (data.length !== 1)
      throw new GoogleApiError(
        400,
        `contents[${index}].parts: required oneof field 'data' must have one initialized field`,
      );
  }
  return { role, parts };
}

/** As many responses as calls, right behind them; and from Gemini 3 on the first call of each step signed. */
function checkCalls(contents: readonly GeminiContent[], model: string): void {
  const lastAsk = contents.findLastIndex(({ role, parts }) => role === "user" && !parts.some(isResponse));
  for (const [index, { role, parts }] of contents.entries()) {
    if (role !== "model") continue;
    const calls = parts.filter((part) => "functionCall" in part);
    const next = contents[index + 1];
    const answered = next ? next.parts.filter(isResponse).length : calls.length;
    if (calls.length !== answered)
      throw new GoogleApiError(
        400,
        "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
      );
    const isCurrent = index > lastAsk && /^gemini-[3-9]/.test(model);
    if (isCurrent && calls[0] && typeof calls[0]["thoughtSignature"] !== "string")
      throw new GoogleApiError(400, "Function call is missing a thought_signature in functionCall parts.");
  }
}

function isResponse(part: Json): boolean {
  return "functionResponse" in part;
}

function refuseUnknown(value: Json, known: ReadonlySet<string>, path: string): void {
  for (const name of Object.keys(value))
    if (!known.has(name))
      throw new GoogleApiError(
        400,
        `Invalid JSON payload received. Unknown name "${name}"${path === "" ? "" : ` at '${path}'`}: Cannot find field.`,
      );
}
