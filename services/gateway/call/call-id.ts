import { randomFillSync } from "node:crypto";

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const length = 24;
const pool = Buffer.alloc(length * 256);

/** A new `call_…`: 120 random bits in base 32. Random bytes are drawn for 256 ids at a time. */
export const newCallId: () => string = createCallIds();

function createCallIds(): () => string {
  let next = pool.length;
  return () => {
    if (next === pool.length) {
      randomFillSync(pool);
      next = 0;
    }
    let id = "call_";
    for (const end = next + length; next < end; next++) id += alphabet[(pool[next] ?? 0) & 31] ?? "";
    return id;
  };
}
