/**
 * Signatures of reasoning that is not Claude's. No Claude accepts them: encoders for Claude's wires take blocks that
 * carry one out. A wire that wants its reasoning back reads what it had put behind the type.
 */
export const foreignSignaturePrefix = "sluice:";

export interface ForeignThinking {
  /** The provider type whose wire it came over. */
  readonly type: string;
  /** What that wire has to be told again; opaque to every other. */
  readonly opaque?: string;
}

/** `sluice:<provider type>`, with `:<opaque>` behind it where there is something to carry. */
export function foreignSignature({ type, opaque }: ForeignThinking): string {
  const signature = `${foreignSignaturePrefix}${type}`;
  return opaque === undefined ? signature : `${signature}:${opaque}`;
}

/** Undefined for a signature of Claude's, or none. */
export function readForeignSignature(signature: string): ForeignThinking | undefined {
  if (!signature.startsWith(foreignSignaturePrefix)) return undefined;
  const [type = "", ...rest] = signature.slice(foreignSignaturePrefix.length).split(":");
  return rest.length === 0 ? { type } : { type, opaque: rest.join(":") };
}
