import type { Failure, UpstreamHead } from "../adapter.ts";
import { classify as classifyMessages } from "../anthropic/classify.ts";
import { classify as classifyException } from "./classify.ts";

/** The model's own errors are the Messages API's; what AWS has put in front of it answers with exceptions. */
export function classifyFronted(head: UpstreamHead, body: Buffer): Failure {
  const failure = classifyMessages(head, body);
  return failure.envelope ? failure : classifyException(head, body);
}
