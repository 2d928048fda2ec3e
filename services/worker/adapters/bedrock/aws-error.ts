import type { UpstreamHead } from "../adapter.ts";

/** An exception of AWS' JSON protocol. */
export interface AwsError {
  /** `ThrottlingException` and the like, without namespace; empty if it does not say. */
  readonly type: string;
  readonly message: string;
}

const maxErrorBytes = 1024 * 1024;

/** The exception of an answer: its name from the header or the body; undefined when there is neither. */
export function readAwsError(head: UpstreamHead, body: Buffer): AwsError | undefined {
  const document = readDocument(body);
  const named = head.headers["x-amzn-errortype"] ?? textOf(document, "__type") ?? textOf(document, "code");
  const message = textOf(document, "message") ?? textOf(document, "Message");
  if (named === undefined && message === undefined) return undefined;
  return { type: plainType(named ?? ""), message: message ?? "" };
}

/** `com.amazon.coral.service#ThrottlingException:http://…` is `ThrottlingException`. */
function plainType(type: string): string {
  return (type.split(":")[0] ?? "").replace(/^.*#/, "").trim();
}

function readDocument(body: Buffer): Readonly<Record<string, unknown>> {
  if (body.length > maxErrorBytes) return {};
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

function textOf(document: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = document[name];
  return typeof value === "string" ? value : undefined;
}
