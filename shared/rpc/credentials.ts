import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { ChannelCredentials, Metadata, ServerCredentials } from "@grpc/grpc-js";
import type { TlsConfig } from "#shared/config/schema.ts";

/** With `tls` both sides prove themselves with a certificate of the same authority. */
export function channelCredentials(tls: TlsConfig | undefined): ChannelCredentials {
  return tls
    ? ChannelCredentials.createSsl(readFileSync(tls.ca), readFileSync(tls.key), readFileSync(tls.cert))
    : ChannelCredentials.createInsecure();
}

export function serverCredentials(tls: TlsConfig | undefined): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const pair = { private_key: readFileSync(tls.key), cert_chain: readFileSync(tls.cert) };
  return ServerCredentials.createSsl(readFileSync(tls.ca), [pair], true);
}

export function tokenMetadata(token: string): Metadata {
  const metadata = new Metadata();
  if (token !== "") metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

/** Whether the peer knows the token; anybody does when there is none. Takes the same time whatever was sent. */
export function createTokenCheck(token: string): (metadata: Metadata) => boolean {
  if (token === "") return () => true;
  const expected = digest(`Bearer ${token}`);
  return (metadata) => timingSafeEqual(digest(String(metadata.get("authorization")[0] ?? "")), expected);
}

/** Throws when anybody who can reach `listen` could use it. */
export function assertGuarded(listen: string, guards: { token: string; tls: TlsConfig | undefined }): void {
  if (guards.token !== "" || guards.tls || isLocal(listen)) return;
  throw new Error(
    `workers.listen ${listen} is reachable from other machines: set workers.token or workers.tls, or listen on 127.0.0.1`,
  );
}

function isLocal(listen: string): boolean {
  return listen.startsWith("unix:") || /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]):\d+$/.test(listen);
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
