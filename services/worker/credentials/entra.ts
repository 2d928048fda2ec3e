import type { FoundryProviderConfig } from "#shared/config/schema.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { CredentialSource } from "../adapters/adapter.ts";
import { postForm } from "./post-form.ts";
import { createRefreshingCredentials, type FetchedCredential } from "./refreshing-credentials.ts";
import { createHeaderCredentials } from "./static.ts";

type EntraConfig = Pick<FoundryProviderConfig, "auth" | "apiKey" | "tenantId" | "clientId" | "clientSecret">;

const scope = "https://ai.azure.com/.default";
const vendorAuthority = "https://login.microsoftonline.com";
/** Where the answer does not say when its token expires. */
const usualLifeS = 600;

/** A Foundry key, or a token of Entra's for an application. @param authority where Entra is */
export function createFoundryCredentials(
  config: EntraConfig,
  authority = vendorAuthority,
): CredentialSource | undefined {
  if (config.auth === "entra") return createEntraCredentials(config, authority);
  const { apiKey } = config;
  return apiKey === undefined || apiKey === "" ? undefined : createHeaderCredentials("x-api-key", apiKey);
}

function createEntraCredentials(config: EntraConfig, authority: string): CredentialSource {
  const { tenantId = "", clientId = "", clientSecret = "" } = config;
  const url = new URL(`${authority}/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`);
  const fields = { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret, scope };
  return createRefreshingCredentials(async (signal): Promise<FetchedCredential> => {
    const askedAt = Date.now();
    const { status, value } = await postForm(url, fields, signal);
    const { access_token: token, expires_in: lifeS } = membersOf(value);
    if (status !== 200 || typeof token !== "string" || token === "")
      throw new GatewayError("upstream_refused", `Entra gave no token: ${refusalOf(status, value)}`);
    const seconds = Number(lifeS);
    return {
      credential: { kind: "headers", headers: ["authorization", `Bearer ${token}`] },
      expiresAt: askedAt + (Number.isFinite(seconds) && seconds > 0 ? seconds : usualLifeS) * 1000,
    };
  });
}

/** The status and OAuth's word for it, such as `invalid_client`; the description beside it may quote what we sent. */
function refusalOf(status: number, value: unknown): string {
  const { error } = membersOf(value);
  return typeof error === "string" && /^[a-z_]{1,40}$/.test(error) ? `${status} ${error}` : String(status);
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
