import type { IncomingHttpHeaders } from "node:http";

/** That a caller would rather have an answer at once, or after a while, than the call's own. */
export interface Preference {
  /** How long the caller waits for the call's own answer. */
  readonly waitMs: number;
  /** As `Preference-Applied` says it. */
  readonly applied: string;
}

/** The longest wait that is kept: connections without a byte do not live much longer everywhere. */
const longestWaitS = 200;

/** `Prefer: respond-async` and `Prefer: wait=20` (RFC 7240); what else it says is left aside, as the RFC wants it. */
export function readPreference({ prefer }: IncomingHttpHeaders): Preference | undefined {
  const words = prefer === undefined ? [] : [prefer].flat().join(",").split(",").map(readWord);
  const isAsync = words.some(({ name }) => name === "respond-async");
  const wait = words.find(({ name, value }) => name === "wait" && /^\d+$/.test(value));
  if (!isAsync && !wait) return undefined;
  const waitS = Math.min(Number(wait?.value ?? 0), longestWaitS);
  const applied = [...(isAsync ? ["respond-async"] : []), ...(wait ? [`wait=${waitS}`] : [])];
  return { waitMs: waitS * 1000, applied: applied.join(", ") };
}

/** `name=value; parameters`, the value perhaps in quotes. */
function readWord(text: string): { readonly name: string; readonly value: string } {
  const [name = "", value = ""] = (text.split(";", 1)[0] ?? "").split("=", 2);
  return { name: name.trim().toLowerCase(), value: value.trim().replace(/^"(.*)"$/, "$1") };
}
