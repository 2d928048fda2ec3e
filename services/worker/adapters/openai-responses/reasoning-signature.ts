import { foreignSignature, readForeignSignature } from "../translate/foreign-thinking.ts";

/**
 * What an item of reasoning needs to be given back; it travels as the signature of a thinking block. Chat Completions
 * has no use for it, so it goes by another type.
 */
export interface ReasoningItem {
  /** Who can read it; see `ResponsesWire`. */
  readonly account: string;
  readonly id: string;
  /** Base64; empty where the server shows its reasoning instead. */
  readonly encrypted: string;
}

const type = "openai-responses";

/** Without an item, the mark of a block that is foreign and not given back. */
export function reasoningSignature(item?: ReasoningItem): string {
  if (!item) return foreignSignature({ type });
  const { account, id, encrypted } = item;
  return foreignSignature({ type, opaque: `${account}:${encodeURIComponent(id)}:${encrypted}` });
}

/** Undefined for what another wire signed, and for a mark only. */
export function readReasoningSignature(signature: string): ReasoningItem | undefined {
  const foreign = readForeignSignature(signature);
  if (foreign?.type !== type) return undefined;
  const [, account, id, encrypted] = /^([^:]+):([^:]+):(.*)$/s.exec(foreign.opaque ?? "") ?? [];
  if (account === undefined || id === undefined || encrypted === undefined) return undefined;
  return { account, id: decodeId(id), encrypted };
}

function decodeId(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}
