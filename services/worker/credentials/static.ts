import type { Credential, CredentialSource } from "../adapters/adapter.ts";

/** A credential that the configuration gives and nobody refreshes. */
export function createStaticCredentials(credential: Credential): CredentialSource {
  return { current: credential, get: () => Promise.resolve(credential) };
}

/** A key or token in a header. */
export function createHeaderCredentials(name: string, value: string): CredentialSource {
  return createStaticCredentials({ kind: "headers", headers: [name, value] });
}
