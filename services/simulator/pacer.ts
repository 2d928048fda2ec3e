import type { ServerResponse } from "node:http";

/** A piece of a stream: its text, and how many tokens it carries; 0 for framing, which costs no time. */
export interface Frame {
  readonly text: string;
  readonly tokens: number;
}

interface PacedStream {
  readonly response: ServerResponse;
  readonly frames: Iterator<Frame, void>;
  /** Tokens a second; 0 is as fast as the connection takes them. */
  readonly rate: number;
  /** Milliseconds from now to the first frame that carries tokens. */
  readonly firstTokenMs: number;
  /** Bytes in one write, to cut a stream anywhere; undefined leaves it to the pace. */
  readonly pieceBytes?: number | undefined;
  /** Of the frames' text; UTF-8 if absent. */
  readonly encoding?: BufferEncoding | undefined;
  /** All frames are written, or the connection is gone. Never called when `stop` was. */
  ended(): void;
}

export interface Pacer {
  /** Writes the frames at their pace, holding back while the connection does. Returns what stops it. */
  play(stream: PacedStream): () => void;
  readonly playing: number;
  close(): void;
}

interface Player {
  readonly stream: PacedStream;
  next: Frame | undefined;
  dueAt: number;
}

const tickMs = 10;
/** Frames of one tick leave in writes of about this size. */
const writeBytes = 16_384;

/** One timer for all streams: hundreds of them, each at its own pace, for the price of one wake-up in 10 ms. */
export function createPacer(): Pacer {
  const players = new Set<Player>();
  let timer: NodeJS.Timeout | undefined;

  function tick(): void {
    const now = performance.now();
    for (const player of players)
      if (player.dueAt <= now && !advance(player, now)) {
        players.delete(player);
        player.stream.ended();
      }
    if (players.size === 0) stopTimer();
  }
  function stopTimer(): void {
    clearInterval(timer);
    timer = undefined;
  }

  return {
    play(stream) {
      const now = performance.now();
      const player: Player = { stream, next: undefined, dueAt: now };
      players.add(player);
      timer ??= setInterval(tick, tickMs);
      // What carries no tokens leaves at once, so that headers and message_start are not held back by the tick.
      if (writeFraming(player)) player.dueAt = now + stream.firstTokenMs;
      return () => {
        players.delete(player);
      };
    },
    get playing() {
      return players.size;
    },
    close() {
      players.clear();
      stopTimer();
    },
  };
}

/** Writes the frames in front that carry no tokens; true when one that does is waiting. */
function writeFraming(player: Player): boolean {
  let text = "";
  while ((player.next ??= take(player.stream)) !== undefined && player.next.tokens === 0) {
    text += player.next.text;
    player.next = undefined;
  }
  if (text !== "") write(player.stream, text);
  return player.next !== undefined;
}

/** Writes what is due; false when the stream is over. */
function advance(player: Player, now: number): boolean {
  const { stream } = player;
  if (stream.response.destroyed) return false;
  while (player.dueAt <= now) {
    if (stream.response.writableNeedDrain) return true;
    let text = "";
    while (player.dueAt <= now && text.length < writeBytes) {
      const frame = player.next ?? take(stream);
      player.next = undefined;
      if (frame === undefined) {
        write(stream, text);
        return false;
      }
      text += frame.text;
      if (stream.rate > 0) player.dueAt += (frame.tokens * 1000) / stream.rate;
    }
    write(stream, text);
  }
  return true;
}

function take(stream: PacedStream): Frame | undefined {
  const next = stream.frames.next();
  return next.done ? undefined : next.value;
}

function write({ response, pieceBytes, encoding = "utf8" }: PacedStream, text: string): void {
  if (text === "") return;
  if (pieceBytes === undefined) {
    response.write(text, encoding);
    return;
  }
  const bytes = Buffer.from(text, encoding);
  for (let start = 0; start < bytes.length; start += pieceBytes)
    response.write(bytes.subarray(start, start + pieceBytes));
}
