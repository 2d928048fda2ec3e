import type { BedrockShape, ProviderShape } from "./provider-shapes.ts";

/** Where the vendor serves this account; empty where the file has to say (checked before). */
export function vendorUrl(written: ProviderShape): string {
  switch (written.type) {
    case "anthropic":
      return written.auth === "aws" && written.region !== undefined
        ? `https://aws-external-anthropic.${written.region}.api.aws`
        : "https://api.anthropic.com";
    case "bedrock":
      return bedrockUrl(written);
    case "vertex":
      return googleUrl(written.region);
    case "foundry":
      return written.resource === undefined ? "" : `https://${written.resource}.services.ai.azure.com/anthropic`;
    case "openai":
      return "https://api.openai.com/v1";
    case "gemini":
      return written.api === "vertex"
        ? googleUrl(written.region ?? "global")
        : "https://generativelanguage.googleapis.com";
    default:
      return written satisfies never;
  }
}

function bedrockUrl({ region, api }: BedrockShape): string {
  if (api === "mantle") return `https://bedrock-mantle.${region}.api.aws/anthropic`;
  return `https://bedrock-runtime.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
}

/** One host for everywhere, one for each group of regions, one for each region. */
function googleUrl(region: string): string {
  if (region === "global") return "https://aiplatform.googleapis.com";
  if (region === "us" || region === "eu") return `https://aiplatform.${region}.rep.googleapis.com`;
  return `https://${region}-aiplatform.googleapis.com`;
}
