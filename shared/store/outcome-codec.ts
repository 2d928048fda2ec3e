import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { Sealer } from "./sealer.ts";

/**
 * One outcome as bytes, in a Redis value or in a reply message, which may hold several one after the other:
 * u32 length of what follows, u8 flags, u8 length of the call id, the call id, payload.
 * The payload, compressed by zstd if flag 2 is set and then encrypted if flag 1 is set: u32 length of the head, the head
 * as JSON, the body's bytes.
 */
const sealedFlag = 1;
const packedFlag = 2;
const prefixBytes = 6;

export interface OutcomeRecord {
  readonly callId: string;
  /** Reads the rest; throws on damaged or wrongly sealed bytes. */
  decode(): Outcome;
}

export function encodeOutcome(callId: string, outcome: Outcome, sealer?: Sealer): Buffer {
  const { body, ...head } = outcome;
  const text = JSON.stringify(head);
  const headBytes = Buffer.byteLength(text);
  const payloadBytes = 4 + headBytes + body.length;
  if (sealer) {
    const payload = Buffer.allocUnsafe(payloadBytes);
    writePayload(payload, text, body);
    return frame(callId, sealedFlag, sealer.seal(payload, callId));
  }
  const record = allocFrame(callId, 0, payloadBytes);
  writePayload(record.subarray(record.length - payloadBytes), text, body);
  return record;
}

/** As `encodeOutcome`, smaller: for outcomes that are kept for hours. */
export function packOutcome(callId: string, outcome: Outcome, sealer?: Sealer): Buffer {
  const plain = encodeOutcome(callId, outcome);
  const packed = zstdCompressSync(plain.subarray(prefixBytes + callId.length));
  return sealer
    ? frame(callId, packedFlag | sealedFlag, sealer.seal(packed, callId))
    : frame(callId, packedFlag, packed);
}

/** The one outcome of a stored value. */
export function decodeOutcome(value: Buffer, sealer?: Sealer): Outcome {
  for (const record of readOutcomes(value, sealer)) return record.decode();
  throw new Error("no outcome in the stored value");
}

/** The outcomes of a message, each decoded only when asked for: most gateways hold none of the callers of most. */
export function* readOutcomes(message: Buffer, sealer?: Sealer): Generator<OutcomeRecord> {
  for (let at = 0; at + prefixBytes <= message.length;) {
    const end = at + 4 + message.readUInt32BE(at);
    const flags = message[at + 4] ?? 0;
    const idEnd = at + prefixBytes + (message[at + 5] ?? 0);
    if (end > message.length || idEnd > end) throw new Error("outcome record is cut short");
    const callId = message.toString("latin1", at + prefixBytes, idEnd);
    const payload = message.subarray(idEnd, end);
    yield { callId, decode: () => readPayload(openPayload(payload, { callId, flags, sealer })) };
    at = end;
  }
}

function frame(callId: string, flags: number, payload: Buffer): Buffer {
  const record = allocFrame(callId, flags, payload.length);
  payload.copy(record, record.length - payload.length);
  return record;
}

function allocFrame(callId: string, flags: number, payloadBytes: number): Buffer {
  const record = Buffer.allocUnsafe(prefixBytes + callId.length + payloadBytes);
  record.writeUInt32BE(record.length - 4, 0);
  record[4] = flags;
  record[5] = callId.length;
  record.write(callId, prefixBytes, "latin1");
  return record;
}

function writePayload(payload: Buffer, head: string, body: Buffer): void {
  const headBytes = payload.write(head, 4, "utf8");
  payload.writeUInt32BE(headBytes, 0);
  body.copy(payload, 4 + headBytes);
}

interface RecordHead {
  readonly callId: string;
  readonly flags: number;
  readonly sealer: Sealer | undefined;
}

function openPayload(payload: Buffer, { callId, flags, sealer }: RecordHead): Buffer {
  let opened = payload;
  if ((flags & sealedFlag) !== 0) {
    if (!sealer) throw new Error("outcome is encrypted and no redis.encryption_key is set");
    opened = sealer.open(payload, callId);
  }
  return (flags & packedFlag) === 0 ? opened : zstdDecompressSync(opened);
}

function readPayload(payload: Buffer): Outcome {
  const headEnd = 4 + payload.readUInt32BE(0);
  // Our own bytes, written by encodeOutcome.
  const head = JSON.parse(payload.toString("utf8", 4, headEnd)) as Omit<Outcome, "body">;
  return { ...head, body: payload.subarray(headEnd) };
}
