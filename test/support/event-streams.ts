/** One SSE event as it came, with its `id:` if it has one. */
export interface CutEvent {
  readonly id: number | undefined;
  readonly text: string;
}

/** Cuts a stream whose lines end in LF behind each blank line; what follows the last one is left out. */
export function cutEvents(text: string): CutEvent[] {
  const pieces = text.split("\n\n").slice(0, -1);
  return pieces.map((piece) => {
    const id = /^id: (\d+)$/m.exec(piece)?.[1];
    return { id: id === undefined ? undefined : Number(id), text: `${piece}\n\n` };
  });
}

/** The bytes without their `id:` lines. */
export function withoutIds(text: string): string {
  return text.replaceAll(/^id: \d+\n/gm, "");
}

/** The bytes without the comments that keep a silent stream alive. */
export function withoutComments(text: string): string {
  return text.replaceAll(/^: ping\n\n/gm, "");
}

export interface ReadStream {
  readonly text: string;
  /** False when the connection broke, or was left, before the end. */
  readonly isComplete: boolean;
}

/** Reads a streamed answer, and leaves it, closing its connection, when `enough` says so of what has come. */
export async function readStream(response: Response, enough?: (text: string) => boolean): Promise<ReadStream> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const piece = await reader?.read();
      if (!piece || piece.done) return { text, isComplete: true };
      text += decoder.decode(piece.value as Uint8Array, { stream: true });
      if (enough?.(text)) {
        await reader?.cancel();
        return { text, isComplete: false };
      }
    }
  } catch {
    return { text, isComplete: false };
  }
}
