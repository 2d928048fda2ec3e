import { encodeSseEvent, pingEvent } from "#shared/messages/sse.ts";
import type { Usage } from "#shared/messages/usage.ts";
import { deltaUsage, emptyMessage, stopMembers, type AnswerEnd, type AnswerHead } from "./answer-parts.ts";
import { pendingText, pendingThinking, pendingTool, type PendingBlock, type ToolStart } from "./pending-block.ts";

export interface MessageEventsOptions extends AnswerHead {
  /** Of `message_start`: counted or estimated. */
  readonly usage: Usage;
  /** Given to reasoning that is not signed otherwise; see `foreignSignature`. */
  readonly signature: string;
}

/**
 * Makes a Messages stream that obeys the grammar whatever comes in whatever order: one `message_start` before all else,
 * blocks one after another, one end. Fragments of tool calls that come mixed are sorted: the open call goes out as it
 * comes, later ones wait until it is complete. What comes after the end is ignored.
 */
export interface MessageEvents {
  /** Emits `message_start`; the other verbs do so themselves where it is missing. */
  begin(): void;
  text(piece: string): void;
  thinking(piece: string): void;
  /** What comes next begins a block of its own, even if it is of the same kind as what came last. */
  separate(): void;
  /** Signs the reasoning that is open, or an empty one in its place: carries what the wire wants back. */
  sign(signature: string): void;
  toolStart(tool: ToolStart): void;
  /** A piece of the JSON of a call that was started; of one that is unknown or closed, nothing. */
  toolArgs(key: ToolStart["key"], piece: string): void;
  hasTool(key: ToolStart["key"]): boolean;
  /** How many calls were started. */
  readonly tools: number;
  ping(): void;
  /**
   * Closes the blocks and ends the message. A call with broken arguments ends it as an error, lest a client runs the half
   * of it that it can read; only an answer that was cut short may end within a call, as Claude's does.
   */
  finish(end: AnswerEnd): void;
  /** An `error` event with a type of the Messages API; nothing follows it. */
  fail(error: { readonly type: string; readonly message: string; readonly details?: unknown }): void;
  readonly ended: boolean;
  /** The bytes since the last time. */
  take(): Buffer | undefined;
}

/** States: waiting (for `message_start`) → begun → ended, by `finish` or `fail`. */
export function createMessageEvents(options: MessageEventsOptions): MessageEvents {
  return new Emitter(options);
}

class Emitter implements MessageEvents {
  readonly #options: MessageEventsOptions;
  #state: "waiting" | "begun" | "ended" = "waiting";
  #out: Buffer[] = [];
  /** The first one is open on the wire once `#opened` is true. */
  #queue: PendingBlock[] = [];
  #opened = false;
  #index = 0;
  #isSeparate = false;
  readonly #keys = new Set<ToolStart["key"]>();

  constructor(options: MessageEventsOptions) {
    this.#options = options;
  }

  get tools(): number {
    return this.#keys.size;
  }

  get ended(): boolean {
    return this.#state === "ended";
  }

  begin(): void {
    if (this.#state !== "waiting") return;
    this.#state = "begun";
    const { usage } = this.#options;
    this.#emit("message_start", { message: emptyMessage(this.#options, { ...usage, output_tokens: 1 }) });
  }

  text(piece: string): void {
    if (piece !== "") this.#append("text", piece);
  }

  thinking(piece: string): void {
    if (piece !== "") this.#append("thinking", piece);
  }

  separate(): void {
    this.#isSeparate = true;
  }

  sign(signature: string): void {
    if (this.ended) return;
    const block = this.#last("thinking") ?? this.#push(pendingThinking(signature));
    block.sign?.(signature);
    this.#advance();
  }

  toolStart(tool: ToolStart): void {
    if (this.ended || this.#keys.has(tool.key)) return;
    this.#keys.add(tool.key);
    this.#push(pendingTool(tool));
    this.#advance();
  }

  toolArgs(key: ToolStart["key"], piece: string): void {
    if (this.ended || piece === "") return;
    this.#queue.find((block) => block.key === key)?.append(piece);
    this.#advance();
  }

  hasTool(key: ToolStart["key"]): boolean {
    return this.#keys.has(key);
  }

  ping(): void {
    if (this.#state === "begun") this.#out.push(pingEvent);
  }

  finish(end: AnswerEnd): void {
    if (this.ended) return;
    if (end.stopReason === "tool_use" && this.#queue.some((block) => block.isBroken?.())) {
      this.fail({ type: "api_error", message: "The model called a tool with arguments that are no JSON object." });
      return;
    }
    this.begin();
    while (this.#queue.length > 0) this.#closeFirst();
    this.#emit("message_delta", { delta: stopMembers(end), usage: deltaUsage(end.usage) });
    this.#emit("message_stop", {});
    this.#state = "ended";
  }

  fail(error: { readonly type: string; readonly message: string; readonly details?: unknown }): void {
    if (this.ended) return;
    this.#emit("error", { error });
    this.#state = "ended";
    this.#queue = [];
  }

  take(): Buffer | undefined {
    const [first, ...rest] = this.#out;
    this.#out = [];
    return first && rest.length > 0 ? Buffer.concat([first, ...rest]) : first;
  }

  #append(kind: "text" | "thinking", piece: string): void {
    if (this.ended) return;
    const make = kind === "text" ? pendingText : (): PendingBlock => pendingThinking(this.#options.signature);
    (this.#last(kind) ?? this.#push(make())).append(piece);
    this.#advance();
  }

  /** The last block, if what comes next goes on with it. */
  #last(kind: PendingBlock["kind"]): PendingBlock | undefined {
    const last = this.#queue.at(-1);
    return last?.kind === kind && !this.#isSeparate ? last : undefined;
  }

  #push(block: PendingBlock): PendingBlock {
    this.begin();
    this.#isSeparate = false;
    this.#queue.push(block);
    return block;
  }

  /** Sends what can be sent: of the first block all that is there, of later ones only once those before are complete. */
  #advance(): void {
    while (this.#queue.length > 1 && this.#queue[0]?.isComplete()) this.#closeFirst();
    const [first] = this.#queue;
    if (first?.isWorthShowing()) this.#send(first, false);
  }

  #closeFirst(): void {
    const block = this.#queue.shift();
    if (!block?.isWorthShowing()) return;
    this.#send(block, true);
    this.#emit("content_block_stop", { index: this.#index });
    this.#opened = false;
    this.#index += 1;
  }

  #send(block: PendingBlock, last: boolean): void {
    const index = this.#index;
    if (!this.#opened) this.#emit("content_block_start", { index, content_block: block.start() });
    this.#opened = true;
    for (const delta of block.takeDelta(last)) this.#emit("content_block_delta", { index, delta });
  }

  #emit(type: string, members: object): void {
    this.#out.push(encodeSseEvent(type, { type, ...members }));
  }
}
