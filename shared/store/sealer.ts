import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/** Encrypts what lies in Redis. `context` (a key or call id) is bound to the bytes: they open under no other. */
export interface Sealer {
  seal(bytes: Buffer, context: string): Buffer;
  /** Throws if the bytes were not sealed with this key for this context. */
  open(sealed: Buffer, context: string): Buffer;
}

const algorithm = "aes-256-gcm";
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** AES-256-GCM, laid out as nonce, tag, ciphertext. `secret` is 32 bytes in base64 or hex; throws if it is not. */
export function createSealer(secret: string): Sealer {
  const key = readSecret(secret);
  return {
    seal(bytes, context) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(context));
      const text = cipher.update(bytes);
      cipher.final();
      return Buffer.concat([nonce, cipher.getAuthTag(), text]);
    },
    open(sealed, context) {
      const head = nonceBytes + tagBytes;
      if (sealed.length < head) throw new Error("sealed bytes are cut short");
      const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes })
        .setAAD(Buffer.from(context))
        .setAuthTag(sealed.subarray(nonceBytes, head));
      const bytes = decipher.update(sealed.subarray(head));
      decipher.final();
      return bytes;
    },
  };
}

function readSecret(secret: string): Buffer {
  const text = secret.trim();
  const key = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, "hex") : Buffer.from(text, "base64");
  if (key.length !== keyBytes) throw new Error("redis.encryption_key must be 32 bytes in base64 or hex");
  return key;
}
