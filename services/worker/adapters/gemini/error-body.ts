/** Google's error, as far as we decide by it. */
export interface GoogleError {
  /** The HTTP status it stands for; 0 if it does not say. */
  readonly code: number;
  /** `RESOURCE_EXHAUSTED` and the like; empty if it does not say. */
  readonly status: string;
  readonly message: string;
  /** `API_KEY_INVALID` and the like, of `ErrorInfo`; empty without one. */
  readonly reason: string;
  /** How long to wait, of `RetryInfo`. */
  readonly retryDelayMs?: number;
  /** Of `QuotaFailure`, or of `ErrorInfo`'s metadata. */
  readonly quotas: readonly { readonly id: string; readonly value?: string }[];
}

type Json = Readonly<Record<string, unknown>>;

/** Bodies beyond this are no errors. */
const maxErrorBytes = 1024 * 1024;

/** The error this body is: `{"error": {…}}`, alone or as the element of an array; undefined for anything else, pages above all. */
export function readErrorBody(body: Buffer): GoogleError | undefined {
  if (body.length > maxErrorBytes) return undefined;
  try {
    return readGoogleError(JSON.parse(body.toString("utf8")));
  } catch {
    return undefined;
  }
}

export function readGoogleError(value: unknown): GoogleError | undefined {
  const documents: readonly unknown[] = Array.isArray(value) ? value : [value];
  const document = documents.find((element) => isJson(element) && "error" in element);
  if (!isJson(document)) return undefined;
  const { error } = document;
  // A proxy's error may be a mere sentence.
  if (typeof error === "string") return { code: 0, status: "", message: error, reason: "", quotas: [] };
  if (!isJson(error)) return undefined;
  const { code, status, message } = error;
  return {
    code: typeof code === "number" ? code : 0,
    status: typeof status === "string" ? status : "",
    message: typeof message === "string" ? message : "",
    ...readDetails(Array.isArray(error["details"]) ? error["details"].filter(isJson) : []),
  };
}

function readDetails(details: readonly Json[]): Pick<GoogleError, "reason" | "retryDelayMs" | "quotas"> {
  let reason = "";
  let retryDelayMs: number | undefined;
  const quotas: { id: string; value?: string }[] = [];
  for (const detail of details) {
    const kind = String(detail["@type"]).replace(/^.*\./, "");
    if (kind === "ErrorInfo") {
      if (typeof detail["reason"] === "string") reason = detail["reason"];
      const metadata = isJson(detail["metadata"]) ? detail["metadata"] : {};
      if (typeof metadata["quota_limit"] === "string")
        quotas.push(quotaOf(metadata["quota_limit"], metadata["quota_limit_value"]));
    } else if (kind === "RetryInfo") retryDelayMs = readDuration(detail["retryDelay"]) ?? retryDelayMs;
    else if (kind === "QuotaFailure" && Array.isArray(detail["violations"]))
      for (const violation of detail["violations"].filter(isJson))
        quotas.push(quotaOf(String(violation["quotaId"]), violation["quotaValue"]));
  }
  return { reason, quotas, ...(retryDelayMs === undefined ? {} : { retryDelayMs }) };
}

function quotaOf(id: string, value: unknown): { id: string; value?: string } {
  return typeof value === "string" || typeof value === "number" ? { id, value: String(value) } : { id };
}

/** `17s`, `0.25s`, or a protobuf duration's members. */
function readDuration(value: unknown): number | undefined {
  if (isJson(value)) {
    const ms = Number(value["seconds"] ?? 0) * 1000 + Number(value["nanos"] ?? 0) / 1e6;
    return Number.isFinite(ms) ? ms : undefined;
  }
  const match = /^(\d+(?:\.\d+)?)s$/.exec(String(value));
  return match ? Number(match[1]) * 1000 : undefined;
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
