import { expect, test } from "vitest";
import type { ProviderShape } from "./provider-shapes.ts";
import { vendorUrl } from "./provider-urls.ts";

const vertex = (region: string): ProviderShape => ({ type: "vertex", project: "p", region });

test.each<readonly [ProviderShape, string]>([
  [{ type: "anthropic" }, "https://api.anthropic.com"],
  [{ type: "anthropic", auth: "aws", region: "eu-west-1" }, "https://aws-external-anthropic.eu-west-1.api.aws"],
  [{ type: "bedrock", region: "us-east-1" }, "https://bedrock-runtime.us-east-1.amazonaws.com"],
  [{ type: "bedrock", region: "cn-north-1" }, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"],
  [{ type: "bedrock", region: "us-east-1", api: "mantle" }, "https://bedrock-mantle.us-east-1.api.aws/anthropic"],
  [vertex("global"), "https://aiplatform.googleapis.com"],
  [vertex("us"), "https://aiplatform.us.rep.googleapis.com"],
  [vertex("eu"), "https://aiplatform.eu.rep.googleapis.com"],
  [vertex("europe-west1"), "https://europe-west1-aiplatform.googleapis.com"],
  [{ type: "foundry", resource: "acme" }, "https://acme.services.ai.azure.com/anthropic"],
  [{ type: "openai" }, "https://api.openai.com/v1"],
  [{ type: "gemini" }, "https://generativelanguage.googleapis.com"],
  [{ type: "gemini", api: "vertex", project: "p" }, "https://aiplatform.googleapis.com"],
  [{ type: "gemini", api: "vertex", project: "p", region: "eu" }, "https://aiplatform.eu.rep.googleapis.com"],
])("%j is at %s", (written, url) => expect(vendorUrl(written)).toBe(url));
