import type { Lane } from "#shared/queue/job.ts";
import { askPrint } from "./ask-print.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import type { OpenCall } from "./open-call.ts";

/**
 * Lets a retry find the call. `written` is called once that is on its way to Redis, or cannot be; at once for a count,
 * which costs nothing, so that nobody joins one.
 */
export function registerCall(
  { head, bytes }: OpenCall,
  { lane, written }: { readonly lane: Lane; readonly written?: () => void },
  { calls, replies }: Pick<GatewayDeps, "calls" | "replies">,
): void {
  const { id, operation, deadlineAt } = head;
  if (operation !== "messages") return written?.();
  calls.register(askPrint(head, bytes), { id, lane, deadlineAt, channel: replies.channel }, written);
}
