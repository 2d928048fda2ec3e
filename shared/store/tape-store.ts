import type { ErrorEnvelope } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "#shared/runtime/load-script.ts";
import { decodeOutcome, packOutcome } from "./outcome-codec.ts";
import { createSealer } from "./sealer.ts";
import { createStoreKeys } from "./store-keys.ts";

/** What is on a tape, in order: head, data*, then one of the others; or an answer in place of a stream. */
export type TapePiece =
  | { readonly kind: "head"; readonly status: number; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: "data"; readonly bytes: Buffer }
  /** The stream's own end: complete, or with its own `error` event. */
  | { readonly kind: "end"; readonly isBroken: boolean }
  | { readonly kind: "error"; readonly envelope: ErrorEnvelope }
  | { readonly kind: "answer"; readonly outcome: Outcome }
  /** `cancelled`: nobody was there any more. `too_long`: the rest is not on the tape. */
  | { readonly kind: "cut"; readonly why: "cancelled" | "too_long" };

/** Streams written down as they go, so that the same request can have them from the start. */
export interface TapeStore {
  /** Rejects while Redis is away. */
  append(callId: string, pieces: readonly TapePiece[], keepMs: number): Promise<void>;
  /** The pieces from this one on, some at a time. Rejects while Redis is away. */
  read(callId: string, from: number): Promise<TapePiece[]>;
  /** Cuts the tape as cancelled, unless somebody has read it within the last seconds: then false. */
  endUnread(callId: string, keepMs: number): Promise<boolean>;
}

const readerMs = 3000;
const mostPieces = 64;
/** The first byte of a piece. */
const letters = { head: "h", data: "d", end: "e", error: "x", answer: "a", cut: "c" } as const;

export function createTapeStore(options: {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly encryptionKey?: string;
}): TapeStore {
  const { client } = options.redis;
  const keys = createStoreKeys(options.prefix);
  const sealer = options.encryptionKey ? createSealer(options.encryptionKey) : undefined;
  const appendTape = loadScript(client, new URL("append-tape.lua", import.meta.url));
  const readTape = loadScript(client, new URL("read-tape.lua", import.meta.url));
  const endUnreadTape = loadScript(client, new URL("end-unread-tape.lua", import.meta.url));

  function encode(callId: string, piece: TapePiece): Buffer {
    const plain = Buffer.concat([Buffer.from(letters[piece.kind]), payloadOf(callId, piece)]);
    return sealer ? sealer.seal(plain, callId) : plain;
  }
  return {
    async append(callId, pieces, keepMs) {
      await appendTape([keys.tape(callId)], [keepMs, ...pieces.map((piece) => encode(callId, piece))]);
    },
    async read(callId, from) {
      const names = [keys.tape(callId), keys.tapeReaders(callId)];
      const found = (await readTape(names, [from, from + mostPieces - 1, readerMs])) as Buffer[];
      return found.map((bytes) => decode(sealer ? sealer.open(bytes, callId) : bytes));
    },
    async endUnread(callId, keepMs) {
      const last = encode(callId, { kind: "cut", why: "cancelled" });
      return (await endUnreadTape([keys.tape(callId), keys.tapeReaders(callId)], [last, keepMs])) === 1;
    },
  };
}

function payloadOf(callId: string, piece: TapePiece): Buffer {
  if (piece.kind === "data") return piece.bytes;
  if (piece.kind === "answer") return packOutcome(callId, piece.outcome);
  const { kind: _, ...rest } = piece;
  return Buffer.from(JSON.stringify(rest));
}

function decode(bytes: Buffer): TapePiece {
  const letter = bytes.toString("latin1", 0, 1);
  const payload = bytes.subarray(1);
  if (letter === letters.data) return { kind: "data", bytes: payload };
  if (letter === letters.answer) return { kind: "answer", outcome: decodeOutcome(payload) };
  const kind = Object.entries(letters).find(([, known]) => known === letter)?.[0];
  // Our own JSON, written by `append`.
  return { kind, ...(JSON.parse(payload.toString()) as object) } as TapePiece;
}
