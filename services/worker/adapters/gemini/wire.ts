/** What goes to `generateContent` and comes back, as far as Messages can say it. Names are Google's. */
export interface GenerateContentRequest {
  readonly contents: readonly Content[];
  readonly systemInstruction?: Content;
  readonly tools?: readonly [{ readonly functionDeclarations: readonly FunctionDeclaration[] }];
  readonly toolConfig?: { readonly functionCallingConfig: FunctionCallingConfig };
  readonly generationConfig?: GenerationConfig;
}

export interface Content {
  readonly role?: "user" | "model";
  readonly parts: readonly Part[];
}

/** Exactly one of the members besides `thought` and `thoughtSignature` is there. */
export interface Part {
  readonly text?: string;
  /** A summary of the model's reasoning. */
  readonly thought?: boolean;
  /** Base64; belongs to this very part, and has to come back on it. */
  readonly thoughtSignature?: string;
  readonly inlineData?: Blob;
  readonly fileData?: FileData;
  readonly functionCall?: FunctionCall;
  readonly functionResponse?: FunctionResponse;
}

/** `data` is base64. */
interface Blob {
  readonly mimeType: string;
  readonly data: string;
}

export interface FileData {
  readonly fileUri: string;
  readonly mimeType?: string;
}

interface FunctionCall {
  readonly id?: string;
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

interface FunctionResponse {
  readonly id?: string;
  readonly name: string;
  readonly response: Readonly<Record<string, unknown>>;
  /** Media of a result; models from Gemini 3 on. */
  readonly parts?: readonly Part[];
}

export interface FunctionDeclaration {
  readonly name: string;
  readonly description?: string;
  readonly parametersJsonSchema?: unknown;
  /** Google's own subset of a schema, for models that know no other. */
  readonly parameters?: unknown;
}

export interface FunctionCallingConfig {
  readonly mode: "AUTO" | "ANY" | "NONE" | "VALIDATED";
  readonly allowedFunctionNames?: readonly string[];
}

export type ThinkingLevel = "MINIMAL" | "LOW" | "MEDIUM" | "HIGH";

export interface ThinkingConfig {
  readonly includeThoughts?: boolean;
  /** Tokens; 0 is off, -1 leaves it to the model. */
  readonly thinkingBudget?: number;
  readonly thinkingLevel?: ThinkingLevel;
}

export interface GenerationConfig {
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  /** Thoughts included. */
  readonly maxOutputTokens?: number;
  readonly stopSequences?: readonly string[];
  readonly responseMimeType?: string;
  readonly responseSchema?: unknown;
  readonly responseJsonSchema?: unknown;
  readonly thinkingConfig?: ThinkingConfig;
}
