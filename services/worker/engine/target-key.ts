import type { Operation } from "#shared/messages/call.ts";
import type { Target } from "#shared/routing/catalogue.ts";

/** A target as a key of maps; neither part holds a line feed. */
export function targetKey(target: Target): string {
  return `${target.provider}\n${target.model}`;
}

/** What limits and breakers are kept by: counting has limits of its own, beside those of Messages. */
export function limitTarget(target: Target, operation: Operation): Target {
  return operation === "messages" ? target : { provider: target.provider, model: `${target.model} (count_tokens)` };
}
