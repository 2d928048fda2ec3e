const cr = 0x0d;
const lf = 0x0a;

/** One chunk of HTTP/1.1's chunked coding out of the pieces, which are `bytes` long together and not empty. */
export function frameChunks(pieces: readonly Buffer[], bytes: number): Buffer {
  const size = bytes.toString(16);
  const frame = Buffer.allocUnsafe(size.length + bytes + 4);
  let at = frame.write(size, 0, "latin1");
  frame[at++] = cr;
  frame[at++] = lf;
  for (const piece of pieces) at += piece.copy(frame, at);
  frame[at++] = cr;
  frame[at] = lf;
  return frame;
}
