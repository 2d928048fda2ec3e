import type { Outcome } from "#shared/messages/outcome.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import type { OpenCall } from "./open-call.ts";
import type { QueuedCallDeps } from "./queued-deps.ts";
import { isLasting, replayMs } from "./replayable.ts";

/** An outcome that came over the reply bus: says how long Redis is to keep it. */
export function acknowledgeOutcome({ head, claim }: OpenCall, outcome: Outcome, { results }: GatewayDeps): void {
  if (claim && isLasting(outcome)) return;
  if (head.operation === "messages" && outcome.status === 200) results.acknowledgeLater(head.id);
  else results.acknowledge(head.id);
}

/** An outcome that this process alone knows, for others who wait for it or may ask for it in a while. */
export function keepOwnOutcome(
  call: OpenCall,
  { outcome, isWanted }: { readonly outcome: Outcome; readonly isWanted: boolean },
  { results, replies, recent }: QueuedCallDeps,
): void {
  const { head, claim } = call;
  if (!isJoinable(call) || replies.interruptedSince !== undefined) return;
  if (isWanted || claim) results.settle(head.id, outcome, "", claim?.keepMs ?? replayMs).catch(() => undefined);
  else recent.remember(head.id, outcome);
}

/** Whether the same call may be joined to this one. A count costs nothing, so it is joined only when a key says so. */
export function isJoinable({ head, claim }: OpenCall): boolean {
  return head.operation === "messages" || claim !== undefined;
}
