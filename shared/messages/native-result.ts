import type { ByteRange } from "./call.ts";
import { nameList, scanMembers } from "./json-members.ts";
import { openBrace, openJson, skipValue } from "./json-scanner.ts";

/** One line of a provider's batch results. */
export interface NativeResult {
  readonly customId: string;
  readonly type: string;
  /** The Message, or the error's whole envelope, byte for byte. */
  readonly payload?: Buffer;
  /** The type of the error in the envelope. */
  readonly errorType?: string;
}

const lineNames = nameList("custom_id", "result");
const resultNames = nameList("type", "message", "error");

/** Throws GatewayError for a line that is no JSON object. */
export function readNativeResult(line: Buffer): NativeResult {
  const cursor = openJson(line);
  let inside: Partial<Record<(typeof resultNames.names)[number], ByteRange>> = {};
  const { found } = scanMembers(cursor, 0, {
    names: lineNames,
    value(name, start) {
      if (name !== "result" || line[start] !== openBrace) return skipValue(cursor, start);
      const result = scanMembers(cursor, start, { names: resultNames });
      inside = result.found;
      return result.end;
    },
  });
  const payload = inside.message ?? inside.error;
  const errorType = inside.error && readErrorType(bytesOf(line, inside.error));
  return {
    customId: readString(line, found.custom_id),
    type: readString(line, inside.type),
    ...(payload === undefined ? undefined : { payload: bytesOf(line, payload) }),
    ...(errorType === undefined ? undefined : { errorType }),
  };
}

function bytesOf(line: Buffer, { start, end }: ByteRange): Buffer {
  return line.subarray(start, end);
}

function readString(line: Buffer, range: ByteRange | undefined): string {
  const value: unknown = range === undefined ? "" : JSON.parse(bytesOf(line, range).toString());
  return typeof value === "string" ? value : "";
}

function readErrorType(envelope: Buffer): string | undefined {
  const { error } = JSON.parse(envelope.toString()) as { error?: { type?: unknown } | null };
  return typeof error?.type === "string" ? error.type : undefined;
}
