import type { Failure, FailureReason, UpstreamHead } from "../adapter.ts";
import { classify as classifyMessages } from "../anthropic/classify.ts";

interface Meaning {
  readonly reason: FailureReason;
  readonly status: number;
  readonly detail: string;
}

/** Codes of what stands in front of the model, lower case; without one the status says enough. */
const meanings: Readonly<Record<string, Meaning>> = {
  deploymentnotfound: { reason: "not_found", status: 404, detail: "unknown deployment" },
  invaliddeployment: { reason: "not_found", status: 404, detail: "unknown deployment" },
  permissiondenied: { reason: "forbidden", status: 403, detail: "no permission for the deployment" },
  unauthorized: { reason: "credential_refused", status: 401, detail: "key or token refused" },
  invalidauthenticationtoken: { reason: "credential_refused", status: 401, detail: "key or token refused" },
  expiredauthenticationtoken: { reason: "credential_refused", status: 401, detail: "expired credential" },
  insufficientquota: { reason: "account_exhausted", status: 429, detail: "account trouble" },
  subscriptiondisabled: { reason: "account_exhausted", status: 403, detail: "account trouble" },
};

const maxErrorBytes = 1024 * 1024;

/** The model's own errors are the Messages API's; those of Azure's front are `{"error": {"code", "message"}}`. */
export function classify(head: UpstreamHead, body: Buffer): Failure {
  const own = classifyMessages(head, body);
  if (own.envelope) return own;
  const code = readCode(body);
  return { ...own, ...(Object.hasOwn(meanings, code) ? meanings[code] : {}) };
}

/** `insufficient_quota` and `InsufficientQuota` are one; empty if there is none. */
function readCode(body: Buffer): string {
  if (body.length > maxErrorBytes) return "";
  try {
    const { error } = JSON.parse(body.toString("utf8")) as { readonly error?: { readonly code?: unknown } };
    return typeof error?.code === "string" ? error.code.replaceAll("_", "").toLowerCase() : "";
  } catch {
    return "";
  }
}
