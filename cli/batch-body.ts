/** Pieces of about this size leave together: one write a line would be a packet a line. */
const pieceBytes = 65_536;

/** The body of a batch's creation from its requests as JSON; flat memory, whatever their number. */
export async function* batchBody(
  requests: AsyncIterable<string>,
  onPiece: (requests: number) => void,
): AsyncGenerator<Uint8Array> {
  let held = '{"requests":[';
  let count = 0;
  for await (const json of requests) {
    held += count === 0 ? json : `,${json}`;
    count += 1;
    if (held.length < pieceBytes) continue;
    yield Buffer.from(held);
    held = "";
    onPiece(count);
  }
  yield Buffer.from(`${held}]}`);
  onPiece(count);
}
