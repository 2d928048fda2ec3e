import { hash } from "node:crypto";
import type { CallHead } from "#shared/messages/call.ts";

/** Names what a call asks: the same for the same caller, endpoint, version, betas and bytes, and for nothing else. */
export function askPrint(head: CallHead, bytes: Buffer): string {
  return printOf(head, hash("sha256", bytes, "base64url"));
}

interface AskedBy {
  readonly keyId: string;
  readonly operation: CallHead["operation"] | "batches";
  readonly headers: CallHead["headers"];
}

/** The same for a body that was hashed as it came. `body`: its SHA-256 as base64url. */
export function printOf({ keyId, operation, headers }: AskedBy, body: string): string {
  const { "anthropic-version": version, "anthropic-beta": betas = "" } = headers;
  // The key's id may hold anything, so it comes last.
  return hash("sha256", `${body}\n${operation}\n${version}\n${betas}\n${keyId}`, "base64url");
}
