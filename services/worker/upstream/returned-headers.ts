/** The upstream headers a caller sees, beside the `anthropic-ratelimit-` family. */
const returned: ReadonlySet<string> = new Set([
  "content-type",
  "request-id",
  "retry-after",
  "retry-after-ms",
  "x-should-retry",
  "anthropic-organization-id",
  "anthropic-workspace-id",
]);

/** The headers of a stream's answer: events, whatever the wire of their origin. */
export function streamHeaders(headers: Readonly<Record<string, string>>, ownRequestId: string): Record<string, string> {
  const kept = returnedHeaders(headers, ownRequestId);
  if (!(kept["content-type"] ?? "").toLowerCase().startsWith(eventStream)) kept["content-type"] = eventStream;
  return kept;
}

const eventStream = "text/event-stream";

/** Those headers of an upstream answer that go to the caller; `request-id` is ours where the upstream sent none. */
export function returnedHeaders(
  headers: Readonly<Record<string, string>>,
  ownRequestId: string,
): Record<string, string> {
  const kept: Record<string, string> = { "request-id": ownRequestId };
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && value !== "" && (returned.has(name) || name.startsWith("anthropic-ratelimit-")))
      kept[name] = value;
  }
  return kept;
}
