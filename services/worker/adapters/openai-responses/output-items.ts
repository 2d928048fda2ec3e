import { callerToolId, callerToolName, type ToolIdSource } from "../openai/tool-names.ts";
import type { MessageEvents } from "../translate/message-events.ts";
import { givenBack, type OutputItem } from "./read-item.ts";
import { reasoningSignature } from "./reasoning-signature.ts";

type ItemType = OutputItem["type"];
type ItemOf<Type extends ItemType> = Extract<OutputItem, { readonly type: Type }>;

export interface ItemsContext extends ToolIdSource {
  readonly account: string;
  /** Whether reasoning is kept of which nothing is shown. */
  readonly keepsAll: boolean;
}

interface OpenItem {
  readonly key: unknown;
  readonly type: ItemType;
  /** Whether anything came for it in pieces; what came so is not told again at its end. */
  hasPieces: boolean;
  /** Of a call that was started: which of the answer's calls it is. */
  call?: number;
  /** What waits until the items before it are done. */
  readonly steps: (() => void)[];
  isDone: boolean;
}

/**
 * The items of a streamed answer, told one after another in the order in which they began, however their events come
 * mixed: of the first one all that comes is told at once, of the others once those before are done.
 */
export class OutputItems {
  readonly #context: ItemsContext;
  readonly #events: MessageEvents;
  readonly #queue: OpenItem[] = [];
  readonly #callIds = new Set<string>();
  /** What was told last. */
  #told: OpenItem | undefined;
  #refusal = "";
  #length = 0;

  constructor(context: ItemsContext, events: MessageEvents) {
    this.#context = context;
    this.#events = events;
  }

  /** The words of a refusal; empty when there was none. */
  get refusal(): string {
    return this.#refusal;
  }

  /** Characters of everything told. */
  get length(): number {
    return this.#length;
  }

  begin(key: unknown, item: OutputItem): void {
    const open = this.#open(key, item.type);
    if (item.type === "function_call") this.#do(open, () => this.#start(open, item));
  }

  /** A piece of what is said or, of a call, of its arguments. */
  piece(key: unknown, type: ItemType, text: string): void {
    if (text === "") return;
    const open = this.#find(key) ?? this.#open(key, type);
    if (open.type !== type) return;
    open.hasPieces = true;
    this.#do(open, () => this.#tell(open, text));
  }

  /** A piece of a refusal, which is said too. */
  refuse(key: unknown, text: string): void {
    this.#refusal += text;
    this.piece(key, "message", text);
  }

  /** Another part of a summary. */
  nextPart(key: unknown): void {
    if (this.#find(key)?.hasPieces === true) this.piece(key, "reasoning", "\n\n");
  }

  done(key: unknown, item: OutputItem): void {
    const open = this.#find(key) ?? this.#open(key, item.type);
    if (open.type === item.type) this.#do(open, () => this.#complete(open, item));
    open.isDone = true;
    this.#advance();
  }

  /** Nothing comes any more. */
  finish(): void {
    for (const open of this.#queue) open.isDone = true;
    this.#advance();
  }

  #find(key: unknown): OpenItem | undefined {
    return this.#queue.find((open) => open.key === key && !open.isDone);
  }

  #open(key: unknown, type: ItemType): OpenItem {
    const open: OpenItem = { key, type, hasPieces: false, steps: [], isDone: false };
    this.#queue.push(open);
    return open;
  }

  #do(open: OpenItem, step: () => void): void {
    if (open === this.#queue[0]) step();
    else open.steps.push(step);
  }

  #advance(): void {
    while (this.#queue[0]?.isDone === true) {
      this.#queue.shift();
      for (const step of this.#queue[0]?.steps.splice(0) ?? []) step();
    }
  }

  #start(open: OpenItem, { id, name }: ItemOf<"function_call">): void {
    if (open.call !== undefined || name === "") return;
    open.call = this.#events.tools;
    const own = callerToolId(this.#callIds.has(id) ? "" : id, open.call, this.#context);
    this.#callIds.add(id);
    this.#told = open;
    this.#events.toolStart({ key: open.call, id: own, name: callerToolName(name, this.#context.body) });
  }

  #tell(open: OpenItem, text: string): void {
    if (open.type === "function_call" && open.call === undefined) return;
    this.#length += text.length;
    if (open.call !== undefined) {
      this.#events.toolArgs(open.call, text);
      return;
    }
    this.#border(open);
    if (open.type === "message") this.#events.text(text);
    else this.#events.thinking(text);
  }

  /** Reasoning is a block an item; messages with nothing between them are one text. */
  #border(open: OpenItem): void {
    if (open === this.#told) return;
    if (open.type === "reasoning") this.#events.separate();
    else if (this.#told?.type === "message") this.#events.text("\n\n");
    this.#told = open;
  }

  #complete(open: OpenItem, item: OutputItem): void {
    if (item.type === "function_call") this.#completeCall(open, item);
    else if (item.type === "reasoning") this.#completeReasoning(open, item);
    else if (!open.hasPieces && item.text + item.refusal !== "") {
      this.#refusal += item.refusal;
      this.#tell(open, item.text + item.refusal);
    }
  }

  #completeCall(open: OpenItem, item: ItemOf<"function_call">): void {
    const wasStarted = open.call !== undefined;
    this.#start(open, item);
    if (!wasStarted || !open.hasPieces) this.#tell(open, item.args);
  }

  #completeReasoning(open: OpenItem, item: ItemOf<"reasoning">): void {
    if (!open.hasPieces && item.text !== "") this.#tell(open, item.text);
    const isTold = this.#told === open;
    if (!isTold && !(this.#context.keepsAll && item.encrypted !== "")) return;
    this.#border(open);
    this.#events.sign(reasoningSignature(givenBack(item, this.#context.account)));
  }
}
