import type { Usage } from "#shared/messages/usage.ts";
import type { AnswerEnd } from "../translate/answer-parts.ts";
import { estimateInputTokens } from "../translate/estimate-input.ts";
import { isFields, type Fields } from "../translate/reading.ts";
import { readFinish, type Finish } from "./finish.ts";
import { toToolName } from "./function-name.ts";
import { encodeSignature, type ThoughtSignature } from "./thought-signature.ts";
import { readGeminiUsage } from "./gemini-usage.ts";

/** Where the parts of an answer go, whole or streamed. */
export interface AnswerSink {
  text(piece: string): void;
  thinking(piece: string): void;
  /** Signs the thinking that was last given, or an empty one. */
  sign(signature: string): void;
  tool(call: { readonly id: string; readonly name: string; readonly args: Fields }): void;
}

export interface AnswerSource {
  readonly callId: string;
  readonly askedModel: string;
  /** The Messages body. */
  readonly body: Buffer;
}

/** Reads the responses of one call, one if it is whole, into a sink. */
export class GeminiAnswer {
  readonly #source: AnswerSource;
  readonly #sink: AnswerSink;
  readonly #ids = new Set<string>();
  #calls = 0;
  #hasThoughts = false;
  #letters = 0;
  #model: string;
  #usage: Usage | undefined;
  #finish: Finish | undefined;

  constructor(source: AnswerSource, sink: AnswerSink) {
    this.#source = source;
    this.#sink = sink;
    this.#model = source.askedModel;
  }

  /** How the model says it ended; undefined while it goes on. */
  get finish(): Finish | undefined {
    return this.#finish;
  }

  /** True once something went to the sink. */
  get hasContent(): boolean {
    return this.#calls > 0 || this.#letters > 0;
  }

  /** As told so far, estimated where it is not. Each response tells totals. */
  get usage(): Usage {
    return (
      this.#usage ?? {
        input_tokens: estimateInputTokens(this.#source.body),
        output_tokens: Math.ceil(this.#letters / 3),
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
      }
    );
  }

  add(response: Fields): void {
    if (typeof response["modelVersion"] === "string") this.#model = response["modelVersion"];
    this.#usage = readGeminiUsage(response["usageMetadata"]) ?? this.#usage;
    const { candidates } = response;
    const candidate = Array.isArray(candidates) ? candidates.filter(isFields).find(isFirst) : undefined;
    const content = candidate?.["content"];
    const parts = isFields(content) && Array.isArray(content["parts"]) ? content["parts"] : [];
    for (const part of parts) if (isFields(part)) this.#addPart(part);
    this.#finish = readFinish(candidate, response["promptFeedback"]) ?? this.#finish;
  }

  /** How the answer ends where its finish is no fault. */
  end(): AnswerEnd {
    const { usage } = this;
    const { kind = "stop", explanation } = this.#finish ?? {};
    const refused = explanation === undefined ? {} : { explanation };
    if (kind === "refusal") return { stopReason: "refusal", ...refused, usage };
    if (kind === "max_tokens") return { stopReason: "max_tokens", usage };
    return { stopReason: this.#calls > 0 ? "tool_use" : "end_turn", usage };
  }

  #addPart(part: Fields): void {
    const { text, thought, thoughtSignature, functionCall } = part;
    const signature = typeof thoughtSignature === "string" && thoughtSignature !== "" ? thoughtSignature : undefined;
    if (isFields(functionCall)) {
      this.#addCall(functionCall, signature);
      return;
    }
    if (typeof text === "string") this.#addText(text, thought === true);
    if (thought === true) this.#hasThoughts = true;
    // Where no thoughts are shown an answer of text has no thinking block either: only calls have to be signed.
    if (signature !== undefined && this.#hasThoughts) this.#sign(signature, thought === true ? "thought" : "text");
  }

  #addText(text: string, isThought: boolean): void {
    this.#letters += text.length;
    if (isThought) this.#sink.thinking(text);
    else this.#sink.text(text);
  }

  #addCall({ id, name, args }: Fields, signature: string | undefined): void {
    if (typeof name !== "string" || (this.#calls > 0 && this.#takesOneCall())) return;
    if (signature !== undefined) this.#sign(signature, "call");
    this.#calls += 1;
    const input = isFields(args) ? args : {};
    this.#letters += name.length + JSON.stringify(input).length;
    this.#sink.tool({ id: this.#toolId(id), name: toToolName(name), args: input });
  }

  #sign(value: string, on: ThoughtSignature["on"]): void {
    this.#sink.sign(encodeSignature({ on, model: this.#model, value }));
  }

  /** Kept where Claude would take it too, and where it is the only one of its name. */
  #toolId(given: unknown): string {
    const isUsable = typeof given === "string" && /^[\w-]{1,64}$/.test(given) && !this.#ids.has(given);
    const { callId } = this.#source;
    const id = isUsable ? given : `toolu_${callId.slice(callId.indexOf("_") + 1)}_${this.#calls}`;
    this.#ids.add(id);
    return id;
  }

  #takesOneCall(): boolean {
    const { body } = this.#source;
    if (!body.includes('"disable_parallel_tool_use"')) return false;
    const choice = (JSON.parse(body.toString("utf8")) as Fields)["tool_choice"];
    return isFields(choice) && choice["disable_parallel_tool_use"] === true;
  }
}

function isFirst({ index }: Fields): boolean {
  return index === undefined || index === 0;
}
