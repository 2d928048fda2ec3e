const lf = 0x0a;
const cr = 0x0d;

/**
 * Follows a stream of SSE bytes by its last three. `tail` is what the last call returned, 0 at the beginning: there an
 * event may begin, and so it may after a blank line in any of the three kinds of line end.
 */
export function followTail(tail: number, chunk: Buffer): number {
  for (let at = Math.max(0, chunk.length - 3); at < chunk.length; at++) tail = ((tail << 8) | chunk[at]!) & 0xffffff;
  return tail;
}

/** True where nothing is half said: only there may an event of ours go in between. */
export function isEventBorder(tail: number): boolean {
  if (tail === 0) return true;
  const last = tail & 0xff;
  const before = (tail >> 8) & 0xff;
  if (last === lf) return before === lf || (before === cr && tail >> 16 === lf);
  return last === cr && before === cr;
}
