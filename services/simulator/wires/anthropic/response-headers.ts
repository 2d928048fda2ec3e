import { createHash } from "node:crypto";

import type { Allowance } from "../../rate-limits.ts";

const inputTokensLimit = 2_000_000;
const outputTokensLimit = 400_000;

/** Who answers: `request-id` and the ids of the account, the same ones for a key at any time. */
export function accountHeaders(account: {
  readonly apiKey: string;
  readonly requestId: string;
}): Record<string, string> {
  return {
    "request-id": account.requestId,
    "anthropic-organization-id": uuidOf(`organization ${account.apiKey}`),
    "anthropic-workspace-id": `wrkspc_${uuidOf(account.apiKey).replaceAll("-", "").slice(0, 24)}`,
  };
}

/** The twelve `anthropic-ratelimit-*` headers. Tokens are shown, not limited. */
export function rateLimitHeaders(allowance: Allowance): Record<string, string> {
  const headers: Record<string, string> = {};
  const put = (name: string, limit: number, remaining: number): void => {
    headers[`anthropic-ratelimit-${name}-limit`] = String(limit);
    headers[`anthropic-ratelimit-${name}-remaining`] = String(remaining);
    headers[`anthropic-ratelimit-${name}-reset`] = new Date(allowance.resetAt).toISOString().replace(/\.\d+Z$/, "Z");
  };
  const share = allowance.remaining / allowance.limit;
  const rounded = (limit: number): number => Math.round((limit * share) / 1000) * 1000;
  put("requests", allowance.limit, allowance.remaining);
  put("input-tokens", inputTokensLimit, rounded(inputTokensLimit));
  put("output-tokens", outputTokensLimit, rounded(outputTokensLimit));
  put("tokens", inputTokensLimit + outputTokensLimit, rounded(inputTokensLimit + outputTokensLimit));
  return headers;
}

function uuidOf(name: string): string {
  const hex = createHash("sha256").update(name).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    "-",
  );
}
