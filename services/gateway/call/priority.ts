import type { IncomingHttpHeaders } from "node:http";
import { priorities, type Priority } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";

/** What `x-sluice-priority` says; interactive without it. Throws `invalid_request` for a word it does not know. */
export function readPriority(headers: IncomingHttpHeaders): Priority {
  const given = headers["x-sluice-priority"];
  if (given === undefined || given === "") return "interactive";
  const known = priorities.find((priority) => priority === given);
  if (known === undefined)
    throw new GatewayError("invalid_request", "x-sluice-priority: Input should be 'interactive' or 'background'", {
      where: "x-sluice-priority",
    });
  return known;
}
