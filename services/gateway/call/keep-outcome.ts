import type { Outcome } from "#shared/messages/outcome.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import type { OpenCall } from "./open-call.ts";
import { isLasting, replayMs } from "./replayable.ts";

/** An outcome that came over the reply bus: says how long Redis is to keep it. */
export function acknowledgeOutcome({ head, claim }: OpenCall, outcome: Outcome, { results }: GatewayDeps): void {
  if (claim && isLasting(outcome)) return;
  if (head.operation === "messages" && outcome.status === 200) results.acknowledgeLater(head.id);
  else results.acknowledge(head.id);
}

/** An outcome that this process alone knows: others may wait for it, or ask for it in a while. */
export function keepOwnOutcome({ head, claim }: OpenCall, outcome: Outcome, { results, replies }: GatewayDeps): void {
  if (replies.interruptedSince !== undefined) return;
  results.settle(head.id, outcome, "", claim?.keepMs ?? replayMs).catch(() => undefined);
}
