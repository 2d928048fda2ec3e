import type { IncomingHttpHeaders, ServerResponse } from "node:http";

import type { LoggedRequest } from "../../request-log.ts";
import type { Json } from "../json.ts";

/** Who calls, and under which id it is answered. */
export interface Account {
  readonly apiKey: string;
  readonly requestId: string;
  readonly version: string;
}

/** One messages or count_tokens request, its body parsed but not checked. */
export interface MessagesCall {
  readonly operation: "messages" | "count_tokens";
  readonly body: Json;
  readonly account: Account;
  readonly logged: LoggedRequest;
  readonly response: ServerResponse;
  readonly headers: IncomingHttpHeaders;
}
