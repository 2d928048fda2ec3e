import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";

import type { ModelInfo } from "#shared/messages/model-info.ts";
import { createAnthropicWire } from "./anthropic/anthropic-wire.ts";
import { awsError, bedrockDialect } from "./bedrock/bedrock-dialect.ts";
import { parseObject, rewriteRequest } from "./rewrite-request.ts";
import type { SimulatedRequest, Wire, WireDeps } from "./wire.ts";
import { asArray, asObject, type Json } from "./json.ts";

const pathPattern = /^\/model\/([^/]+)\/(invoke|invoke-with-response-stream|count-tokens)$/;
const versions: Readonly<Record<string, string>> = { "bedrock-2023-05-31": "2023-06-01", "2026-10-21": "2026-10-21" };
/** Members that InvokeModel has elsewhere, or not at all. */
const extraneous = ["model", "stream", "cache_control", "fallbacks", "container", "mcp_servers", "thread"];

/** Amazon Bedrock's InvokeModel, its streaming twin and CountTokens, for Claude. */
export function createBedrockWire(deps: WireDeps, models: readonly ModelInfo[]): Wire {
  const messages = createAnthropicWire(deps, models, bedrockDialect);
  return {
    handles: (path) => pathPattern.test(path),
    handle(request, response) {
      const [, id = "", action = ""] = pathPattern.exec(request.path) ?? [];
      const refusal = refusalOf(request);
      if (refusal !== undefined) return send(response, refusal);
      const body = action === "count-tokens" ? unwrapCount(request.body) : parseObject(request.body);
      const version = versions[String(body?.["anthropic_version"])];
      const fault = faultOf(body, version);
      if (body === undefined || version === undefined || fault !== undefined)
        return send(response, awsError(400, "ValidationException", fault ?? "Malformed input request"));
      const { anthropic_version: _version, anthropic_beta: betas, ...rest } = body;
      const plain = rewriteRequest(request, {
        operation: action === "count-tokens" ? "count_tokens" : "messages",
        version,
        betas: asArray(betas).join(","),
        body: { ...rest, model: plainId(decodeURIComponent(id)), stream: action === "invoke-with-response-stream" },
      });
      messages.handle(plain, response);
    },
  };
}

/** A signature is not computed again; that it is there, and over this very body, is looked at. */
function refusalOf({ method, headers, body }: SimulatedRequest): ReturnType<typeof awsError> | undefined {
  if (method !== "POST") return awsError(405, "UnknownOperationException", "");
  const authorization = headers.authorization ?? "";
  if (authorization === "") return awsError(403, "MissingAuthenticationTokenException", "Missing Authentication Token");
  if (/^bearer /i.test(authorization)) return undefined;
  const hash = createHash("sha256").update(body).digest("hex");
  const signed = /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/[^/]+\/bedrock\/aws4_request, SignedHeaders=[^,]*\bhost\b/;
  if (signed.test(authorization) && headers["x-amz-content-sha256"] === hash && headers["x-amz-date"] !== undefined)
    return undefined;
  return awsError(403, "InvalidSignatureException", "The request signature we calculated does not match.");
}

function faultOf(body: Json | undefined, version: string | undefined): string | undefined {
  if (body === undefined) return "Malformed input request, please reformat your input and try again.";
  if (version === undefined) return "anthropic_version: Field required";
  const extra = extraneous.find((name) => name in body);
  return extra === undefined ? undefined : `Malformed input request: extraneous key [${extra}] is not permitted`;
}

function unwrapCount(bytes: Buffer): Json | undefined {
  const { body } = asObject(asObject(parseObject(bytes)?.["input"])["invokeModel"]);
  return typeof body === "string" ? parseObject(Buffer.from(body, "base64")) : undefined;
}

/** The model's plain name: without profile, vendor and version; a profile of one's own stands for any Claude. */
function plainId(id: string): string {
  if (id.includes(":application-inference-profile/")) return "claude-of-a-profile";
  return id
    .replace(/^.*\//, "")
    .replace(/^(?:[a-z-]+\.)?anthropic\./, "")
    .replace(/-v\d+(?::\d+)?(?=@|$)/, "");
}

function send(response: ServerResponse, { status, headers, body }: ReturnType<typeof awsError>): void {
  response.writeHead(status, headers).end(body);
}
