import type {
  AnthropicShape,
  AwsCredentialShape,
  FoundryShape,
  GeminiShape,
  OpenaiShape,
  ProviderShape,
} from "./provider-shapes.ts";

/** What the schema cannot say of one provider: which members need each other. */
export function providerFaults(written: ProviderShape, options: { readonly secretsMayLack: boolean }): string[] {
  if (written.type === "bedrock") return options.secretsMayLack ? [] : accessKeyFaults(written);
  if (written.type === "anthropic") return anthropicFaults(written, options);
  if (written.type === "foundry") return foundryFaults(written, options);
  if (written.type === "openai") return openaiFaults(written);
  return written.type === "gemini" ? geminiFaults(written) : [];
}

function anthropicFaults(written: AnthropicShape, { secretsMayLack }: { readonly secretsMayLack: boolean }): string[] {
  const { auth } = written;
  const faults: string[] = [];
  const needs = (is: "google" | "aws", names: readonly (keyof AnthropicShape)[]): void => {
    if (auth === is) return;
    for (const name of names)
      if (written[name] !== undefined) faults.push(`\`${name}\` says nothing without \`auth: ${is}\``);
  };
  needs("aws", ["region", "profile", "access_key_id", "secret_access_key", "session_token"]);
  needs("google", ["credentials_file"]);
  if (auth === "aws" && written.region === undefined) faults.push("`auth: aws` needs `region`");
  if (auth === "google" && written.base_url === undefined) faults.push("`auth: google` needs `base_url`");
  if ((auth === "aws" || auth === "google") && written.batch === "native")
    faults.push(`\`batch: native\` cannot go with \`auth: ${auth}\``);
  return secretsMayLack ? faults : [...faults, ...accessKeyFaults(written)];
}

function accessKeyFaults(written: AwsCredentialShape): string[] {
  const hasId = Boolean(written.access_key_id);
  const hasSecret = Boolean(written.secret_access_key);
  return hasId === hasSecret ? [] : ["`access_key_id` and `secret_access_key` need each other"];
}

function foundryFaults(written: FoundryShape, { secretsMayLack }: { readonly secretsMayLack: boolean }): string[] {
  const faults: string[] = [];
  if (written.resource === undefined && written.base_url === undefined) faults.push("needs `resource` or `base_url`");
  if (secretsMayLack || written.auth !== "entra") return faults;
  const parts = [written.tenant_id, written.client_id, written.client_secret].filter(Boolean);
  if (parts.length < 3) faults.push("`auth: entra` needs `tenant_id`, `client_id` and `client_secret`");
  return faults;
}

function openaiFaults({ api, max_tokens_field: field }: OpenaiShape): string[] {
  return api === "responses" && field !== undefined ? ["`max_tokens_field` says nothing with `api: responses`"] : [];
}

function geminiFaults(written: GeminiShape): string[] {
  if (written.api !== "vertex") return [];
  return written.project === undefined ? ["`api: vertex` needs `project`"] : [];
}
