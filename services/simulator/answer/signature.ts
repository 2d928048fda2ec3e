import { createHmac, randomBytes } from "node:crypto";

/** Every simulator signs with this: signatures hold between simulated providers, as they do between the real ones. */
const signingKey = "simulated thinking";

/** A signature for a thinking block with this text, which is empty when the reasoning is not shown. */
export function signThinking(thinking: string): string {
  const nonce = randomBytes(96);
  return Buffer.concat([Buffer.from([0x12, nonce.length]), nonce, mac(nonce, thinking)]).toString("base64");
}

/** False when the text or the signature is not as it was signed. */
export function isSigned(thinking: string, signature: string): boolean {
  const bytes = Buffer.from(signature, "base64");
  if (bytes[0] !== 0x12 || bytes.length !== 2 + (bytes[1] ?? 0) + 32) return false;
  const nonce = bytes.subarray(2, -32);
  return mac(nonce, thinking).equals(bytes.subarray(-32)) && bytes.toString("base64") === signature;
}

function mac(nonce: Buffer, thinking: string): Buffer {
  return createHmac("sha256", signingKey).update(nonce).update(thinking).digest();
}
