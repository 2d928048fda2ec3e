import type { BedrockProviderConfig } from "#shared/config/schema.ts";
import type { CredentialSource } from "../adapters/adapter.ts";
import { createRefreshingCredentials, type FetchedCredential } from "./refreshing-credentials.ts";
import { createHeaderCredentials, createStaticCredentials } from "./static.ts";

type AwsConfig = Pick<
  BedrockProviderConfig,
  "apiKey" | "accessKeyId" | "secretAccessKey" | "sessionToken" | "profile" | "region"
>;

/** A Bedrock API key, else an access key, else what AWS' default chain finds: environment, files, roles of the machine. */
export function createAwsCredentials(config: AwsConfig): CredentialSource {
  const { apiKey, accessKeyId, secretAccessKey, sessionToken } = config;
  if (apiKey !== undefined && apiKey !== "") return createHeaderCredentials("authorization", `Bearer ${apiKey}`);
  if (accessKeyId !== undefined && secretAccessKey !== undefined)
    return createStaticCredentials({
      kind: "aws",
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
    });
  return createChainCredentials(config);
}

/** Keys in files do not say when they are replaced, so they are read again. */
const fileLifeMs = 15 * 60_000;

/** The chain's library is large: it is loaded when a credential is first wanted. */
function createChainCredentials({ profile, region }: AwsConfig): CredentialSource {
  return createRefreshingCredentials(async (): Promise<FetchedCredential> => {
    const { createCredentialChain, fromEnv, fromNodeProviderChain } = await import("@aws-sdk/credential-providers");
    const options = { clientConfig: { region }, ignoreCache: true, ...(profile === undefined ? {} : { profile }) };
    // As AWS' command line has it, the environment's keys win over its profile, but not over one that is configured.
    const chain =
      profile === undefined
        ? createCredentialChain(fromEnv(), fromNodeProviderChain(options))
        : fromNodeProviderChain(options);
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = await chain();
    return {
      credential: {
        kind: "aws",
        accessKeyId,
        secretAccessKey,
        ...(sessionToken === undefined ? {} : { sessionToken }),
      },
      expiresAt: expiration?.getTime() ?? Date.now() + fileLifeMs,
    };
  });
}
