import type { ForwardedHeaders } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { nameList, scanMembers, type NameList } from "#shared/messages/json-members.ts";
import { openJson, skipWhitespace } from "#shared/messages/json-scanner.ts";
import { splitBetas } from "./beta-flags.ts";
import type { ProviderCall, SortedBetas } from "./adapter.ts";

/** The version that the clouds' own version names stand for. */
export const classicVersion = "2023-06-01";

/** Members of the Messages API that only Anthropic's own service knows; Claude elsewhere refuses a body that has them. */
export const ownServiceMembers = ["fallbacks", "container", "mcp_servers"] as const;

/**
 * Refuses what cannot be said where Claude is served by somebody else, so that another target is asked. `null` and an
 * empty list say nothing.
 * @throws GatewayError `invalid_request` that names the member.
 */
export function refuseOwnService(taken: { readonly [Name in OwnServiceMember]?: Buffer }): void {
  for (const name of ownServiceMembers) {
    const value = taken[name]?.toString("utf8").replaceAll(/\s/g, "");
    if (value === undefined || value === "null" || value === "[]") continue;
    throw new GatewayError("invalid_request", `${name}: Not available where this model is served`);
  }
}

type OwnServiceMember = (typeof ownServiceMembers)[number];

/** The same where the caller's bytes go out as they are, for those of these members that the wire lacks. */
export function refuseMembers(body: Buffer, lacking: NameList<OwnServiceMember>): void {
  if (!lacking.names.some((name) => body.includes(`"${name}"`))) return;
  const { found } = scanMembers(openJson(body), skipWhitespace(body, 0), { names: lacking });
  const taken = Object.entries(found).map(([name, { start, end }]) => [name, body.subarray(start, end)] as const);
  refuseOwnService(Object.fromEntries(taken));
}

/** The betas table's word; without it every flag of the call that this target has not refused goes to one place. */
export function betasOf(call: ProviderCall, place: "header" | "body"): SortedBetas {
  if (call.betas !== undefined) return call.betas;
  const flags = new Set([...splitBetas(call.headers["anthropic-beta"]), ...readBodyBetas(call.body)]);
  const kept = [...flags].filter((flag) => !call.refusedBetas?.has(flag));
  return { header: [], body: [], dropped: [], [place]: kept };
}

const betasMember = nameList("anthropic_beta");

/** The flags that callers who have learnt it from Bedrock put into the body; the Messages API itself knows no such member. */
export function readBodyBetas(body: Buffer): string[] {
  if (!body.includes('"anthropic_beta"')) return [];
  const member = scanMembers(openJson(body), skipWhitespace(body, 0), { names: betasMember }).found.anthropic_beta;
  if (member === undefined) return [];
  const value: unknown = JSON.parse(body.toString("utf8", member.start, member.end));
  const flags: readonly unknown[] = Array.isArray(value) ? value : [value];
  return flags.flatMap((flag) => (typeof flag === "string" ? splitBetas(flag) : []));
}

/** What every wire is sent: JSON that is not compressed for us, so that it can be relayed byte for byte. */
export function plainHeaders(headers: ForwardedHeaders): string[] {
  const plain = ["content-type", "application/json", "accept", "application/json", "accept-encoding", "identity"];
  if (headers["user-agent"] !== undefined) plain.push("user-agent", headers["user-agent"]);
  return plain;
}

/** Path of a base URL without a slash at its end and without the version, which a copied one may carry. */
export function pathPrefixOf(baseUrl: string): string {
  return new URL(baseUrl).pathname.replace(/\/+$/, "").replace(/\/v1$/, "");
}
