import { randomBytes } from "node:crypto";

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** An id like Anthropic's: `msg_01…`. */
export function makeId(prefix: string): string {
  let id = `${prefix}_01`;
  for (const byte of randomBytes(22)) id += alphabet[byte % alphabet.length];
  return id;
}
