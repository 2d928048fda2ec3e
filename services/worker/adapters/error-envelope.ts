/** An error body of the Messages API, as far as we decide by it. */
export interface ErrorFacts {
  readonly type: string;
  readonly message: string;
  readonly errorCode?: string;
  readonly requestId?: string;
}

/** Bodies beyond this are no error envelopes. */
const maxEnvelopeBytes = 1024 * 1024;
const openingBrace = 0x7b;

/** The error envelope that this body is, or undefined: HTML, an empty body, another API's error. */
export function readErrorEnvelope(body: Buffer): ErrorFacts | undefined {
  if (body.length > maxEnvelopeBytes || firstByte(body) !== openingBrace) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
  if (!isRecord(value) || !isRecord(value["error"])) return undefined;
  const { type, message, details } = value["error"];
  if (typeof type !== "string" || typeof message !== "string") return undefined;
  const requestId = value["request_id"];
  return {
    type,
    message,
    ...errorCodeOf(details),
    ...(typeof requestId === "string" ? { requestId } : {}),
  };
}

/** `details.error_code`, as a member to spread. */
export function errorCodeOf(details: unknown): { readonly errorCode?: string } {
  return isRecord(details) && typeof details["error_code"] === "string" ? { errorCode: details["error_code"] } : {};
}

function firstByte(body: Buffer): number | undefined {
  for (const byte of body) if (byte > 0x20) return byte;
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
