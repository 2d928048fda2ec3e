import { hash } from "node:crypto";
import type { CallHead } from "#shared/messages/call.ts";

/** Names what a call asks: the same for the same caller, endpoint, version, betas and bytes, and for nothing else. */
export function askPrint({ keyId, operation, headers }: CallHead, bytes: Buffer): string {
  const body = hash("sha256", bytes, "base64url");
  const { "anthropic-version": version, "anthropic-beta": betas = "" } = headers;
  // The key's id may hold anything, so it comes last.
  return hash("sha256", `${body}\n${operation}\n${version}\n${betas}\n${keyId}`, "base64url");
}
