import type { ForwardedHeaders } from "#shared/messages/call.ts";
import { spliceBody, type Splices } from "#shared/messages/body.ts";
import { splitBetas } from "../beta-flags.ts";
import type { AdapterTarget, BatchExchange, ProviderCall, UpstreamRequest } from "../adapter.ts";

export interface AnthropicWire {
  /** Path prefix of the base URL up to and without `/v1`. */
  readonly pathPrefix: string;
  /** Credential and configured headers: name, value, name, value … */
  readonly fixedHeaders: readonly string[];
}

/** The caller's bytes with `model` spliced where the provider calls it otherwise, and routing wishes cut out. */
export function encode(wire: AnthropicWire, call: ProviderCall, target: AdapterTarget): UpstreamRequest {
  const path =
    call.operation === "messages" ? `${wire.pathPrefix}/v1/messages` : `${wire.pathPrefix}/v1/messages/count_tokens`;
  return { path, headers: encodeHeaders(wire, call), body: encodeBody(call, target) };
}

/** Version and betas are those of the call that made the batch. */
export function encodeBatch(wire: AnthropicWire, { step, headers, body }: BatchExchange): UpstreamRequest {
  const batches = `${wire.pathPrefix}/v1/messages/batches`;
  const encoded = encodeHeaders(wire, { headers: { ...headers, accept: "application/json" }, refusedBetas: undefined });
  switch (step.step) {
    case "create":
      return { path: batches, headers: encoded, body };
    case "cancel":
      return { path: `${batches}/${encodeURIComponent(step.id)}/cancel`, headers: encoded, body: [] };
    case "list": {
      const after = step.afterId === undefined ? "" : `&after_id=${encodeURIComponent(step.afterId)}`;
      return { method: "GET", path: `${batches}?limit=100${after}`, headers: encoded, body: [] };
    }
    case "retrieve":
      return { method: "GET", path: `${batches}/${encodeURIComponent(step.id)}`, headers: encoded, body: [] };
    case "results":
      return { method: "GET", path: `${batches}/${encodeURIComponent(step.id)}/results`, headers: encoded, body: [] };
    default:
      return step satisfies never;
  }
}

function encodeBody(call: ProviderCall, target: AdapterTarget): readonly Buffer[] {
  const renamed = target.model !== call.askedModel;
  if (!renamed && call.splices.providerOptions === undefined) return [call.body];
  const splices: Splices = {
    ...(renamed ? { model: target.model } : {}),
    ...(call.splices.providerOptions ? { providerOptions: "remove" as const } : {}),
  };
  return spliceBody(call.body, call.splices, splices);
}

function encodeHeaders(wire: AnthropicWire, call: Pick<ProviderCall, "headers" | "refusedBetas" | "betas">): string[] {
  const { headers } = call;
  const encoded = [
    "anthropic-version",
    headers["anthropic-version"],
    "content-type",
    headers["content-type"] ?? "application/json",
    "accept",
    headers.accept ?? "application/json",
    // The answer is relayed byte for byte, so it must not be compressed for us.
    "accept-encoding",
    "identity",
  ];
  if (headers["user-agent"] !== undefined) encoded.push("user-agent", headers["user-agent"]);
  const betas = call.betas ? call.betas.header.join(",") || undefined : encodeBetas(headers, call.refusedBetas);
  if (betas !== undefined) encoded.push("anthropic-beta", betas);
  return wire.fixedHeaders.length === 0 ? encoded : withFixed(wire.fixedHeaders, encoded);
}

/** A configured header stands in for the caller's of the same name. */
function withFixed(fixed: readonly string[], encoded: readonly string[]): string[] {
  const merged = [...fixed];
  for (let i = 0; i < encoded.length; i += 2) {
    const name = encoded[i] ?? "";
    if (!hasName(fixed, name)) merged.push(name, encoded[i + 1] ?? "");
  }
  return merged;
}

function hasName(headers: readonly string[], name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return true;
  return false;
}

function encodeBetas(headers: ForwardedHeaders, refused: ReadonlySet<string> | undefined): string | undefined {
  const sent = headers["anthropic-beta"];
  if (sent === undefined || sent === "" || refused === undefined || refused.size === 0) return sent || undefined;
  const kept = splitBetas(sent).filter((flag) => !refused.has(flag));
  return kept.length > 0 ? kept.join(",") : undefined;
}
