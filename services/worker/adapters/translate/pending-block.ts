import { emptyText, emptyThinking, emptyToolUse } from "./answer-parts.ts";
import type { Fields } from "./reading.ts";

/** One block of a streamed answer, between what came for it and what went out. */
export interface PendingBlock {
  readonly kind: "text" | "thinking" | "tool_use";
  /** What the source calls a tool call by; undefined for other blocks. */
  readonly key?: string | number;
  readonly start: () => Fields;
  /** What is to be sent as soon as the block is the open one. */
  takeDelta(last: boolean): Fields[];
  append(piece: string): void;
  /** Of reasoning. */
  sign?(signature: string): void;
  /** Whether nothing can follow, so that a block behind it may be opened. */
  isComplete(): boolean;
  /** Of a call: whether its arguments are not the object they have to be. */
  isBroken?(): boolean;
  /** False while there is nothing to show: a text of nothing but space, which Claude would refuse on the next turn. */
  isWorthShowing(): boolean;
}

/** A text; leading space waits until there is more to say. */
export function pendingText(): PendingBlock {
  let unsent = "";
  let shown = false;
  return {
    kind: "text",
    start: emptyText,
    append(piece) {
      unsent += piece;
      shown ||= piece.trim() !== "";
    },
    takeDelta() {
      const text = unsent;
      unsent = "";
      return text === "" ? [] : [{ type: "text_delta", text }];
    },
    isComplete: () => true,
    isWorthShowing: () => shown,
  };
}

/** Reasoning; its signature goes out just before it closes. */
export function pendingThinking(usualSignature: string): PendingBlock {
  let unsent = "";
  let signature = usualSignature;
  let worth = false;
  return {
    kind: "thinking",
    start: emptyThinking,
    append(piece) {
      unsent += piece;
      worth ||= piece !== "";
    },
    sign(given) {
      signature = given;
      worth = true;
    },
    takeDelta(last) {
      const deltas: Fields[] = unsent === "" ? [] : [{ type: "thinking_delta", thinking: unsent }];
      unsent = "";
      if (last) deltas.push({ type: "signature_delta", signature });
      return deltas;
    },
    isComplete: () => true,
    isWorthShowing: () => worth,
  };
}

export interface ToolStart {
  /** Unique among the calls of the answer. */
  readonly key: string | number;
  readonly id: string;
  readonly name: string;
}

/** A tool call. Only whole JSON is known to be complete: fragments of several calls may come mixed. */
export function pendingTool(tool: ToolStart): PendingBlock {
  let args = "";
  let sent = 0;
  return {
    kind: "tool_use",
    key: tool.key,
    start: () => emptyToolUse(tool),
    append(piece) {
      // Some servers begin with an empty object and send the real one after it.
      args = args.trim() === "{}" && piece.trim() !== "" ? piece : args + piece;
    },
    takeDelta(last) {
      if (!last && args.trim() === "{}") return [];
      const partial_json = args.slice(sent);
      sent = args.length;
      return partial_json === "" ? [] : [{ type: "input_json_delta", partial_json }];
    },
    isComplete: () => isWholeObject(args),
    isBroken: () => args.trim() !== "" && !isWholeObject(args),
    isWorthShowing: () => true,
  };
}

function isWholeObject(args: string): boolean {
  if (!args.trimEnd().endsWith("}")) return false;
  try {
    JSON.parse(args);
    return true;
  } catch {
    return false;
  }
}
