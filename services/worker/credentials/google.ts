import { GatewayError } from "#shared/messages/error.ts";
import type { CredentialSource } from "../adapters/adapter.ts";
import { createRefreshingCredentials, type FetchedCredential } from "./refreshing-credentials.ts";
import { createHeaderCredentials } from "./static.ts";

export interface GoogleConfig {
  /** A token of the operator's; it is not refreshed. */
  readonly accessToken?: string;
  readonly credentialsFile?: string;
  /** Whose models are asked; without it the library goes looking for one. */
  readonly project?: string;
}

const scopes = "https://www.googleapis.com/auth/cloud-platform";
/** The library does not say when some tokens expire; Google's live for an hour. */
const usualLifeMs = 30 * 60_000;

/** A given token, else a credentials file, else application default credentials. */
export function createGoogleCredentials({ accessToken, credentialsFile, project }: GoogleConfig): CredentialSource {
  if (accessToken !== undefined) return createHeaderCredentials("authorization", `Bearer ${accessToken}`);
  return createRefreshingCredentials(async (): Promise<FetchedCredential> => {
    // Loaded when a token is first wanted. A new one each time: nothing is remembered that a fresh file would change.
    const { GoogleAuth } = await import("google-auth-library");
    const auth = new GoogleAuth({
      scopes,
      ...(credentialsFile === undefined ? {} : { keyFilename: credentialsFile }),
      ...(project === undefined ? {} : { projectId: project }),
    });
    const client = await auth.getClient().catch((reason: unknown) => {
      throw refusal("no usable credentials", reason);
    });
    const { token } = await client.getAccessToken().catch((reason: unknown) => {
      throw refusal("no token", reason);
    });
    if (token === null || token === undefined || token === "") throw refusal("no token", undefined);
    const { quotaProjectId } = client;
    const billed = quotaProjectId === undefined ? [] : ["x-goog-user-project", quotaProjectId];
    return {
      credential: { kind: "headers", headers: ["authorization", `Bearer ${token}`, ...billed] },
      expiresAt: client.credentials.expiry_date ?? Date.now() + usualLifeMs,
    };
  });
}

/** The status and OAuth's word for it, or a code such as ENOENT; messages may quote a key or its file. */
function refusal(what: string, reason: unknown): GatewayError {
  const { status, code, response } = membersOf(reason);
  const { error } = membersOf(membersOf(response)["data"]);
  const words = [status ?? code, error].filter(
    (word) => typeof word === "number" || (typeof word === "string" && /^\w{1,40}$/.test(word)),
  );
  return new GatewayError("upstream_refused", `Google credentials: ${[what, ...words].join(" ")}`);
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
