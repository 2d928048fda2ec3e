import type { UpstreamHead } from "../adapter.ts";

/** Whether the body is compressed, although identity was asked for: such bytes can be neither read nor relayed. */
export function isEncoded(head: UpstreamHead): boolean {
  const encoding = head.headers["content-encoding"];
  return encoding !== undefined && encoding !== "" && encoding.toLowerCase() !== "identity";
}
