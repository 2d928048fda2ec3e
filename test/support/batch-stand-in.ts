import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as the stand-in received it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

interface Counts {
  processing: number;
  succeeded: number;
  errored: number;
  canceled: number;
  expired: number;
}

/** The HTTP contract of batches, jobs and limits with nothing behind it: what is asked moves by what a test says. */
export interface BatchStandIn extends AsyncDisposable {
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  /** Of the one batch there is. */
  status: "in_progress" | "canceling" | "ended";
  readonly progress: Counts;
  results: string;
  /** Ids of which there is a trace. */
  readonly traced: Set<string>;
  /** Answers the next requests in place of what would be answered. */
  next(...answers: ((response: ServerResponse) => void)[]): void;
}

export const standInId = "msgbatch_standin";

export async function startBatchStandIn(): Promise<BatchStandIn> {
  const seen: SeenRequest[] = [];
  const queued: ((response: ServerResponse) => void)[] = [];
  const progress: Counts = { processing: 0, succeeded: 0, errored: 0, canceled: 0, expired: 0 };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("error", () => undefined);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url: path = "", headers } = request;
      const one = { method, path, headers, body: Buffer.concat(chunks).toString() };
      seen.push(one);
      const special = queued.shift();
      if (special) special(response);
      else answer(one, response, self);
    });
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const self: BatchStandIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    status: "in_progress",
    progress,
    results: "",
    traced: new Set(),
    next: (...answers) => void queued.push(...answers),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return self;
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json", "request-id": "req_standin" });
  response.end(JSON.stringify(body));
}

export function refuse(status: number, type: string, message: string): (response: ServerResponse) => void {
  return (response) => json(response, status, { type: "error", error: { type, message }, request_id: "req_standin" });
}

function answer(request: SeenRequest, response: ServerResponse, self: BatchStandIn): void {
  const { method, path } = request;
  const batch = `/v1/messages/batches/${standInId}`;
  if (method === "POST" && path === "/v1/messages/batches") {
    const { requests } = JSON.parse(request.body) as { requests: unknown[] };
    self.progress.processing = requests.length - self.progress.errored;
    json(response, 200, describe(self));
  } else if (method === "GET" && path === batch) json(response, 200, describe(self));
  else if (method === "POST" && path === `${batch}/cancel`) {
    self.status = "canceling";
    json(response, 200, describe(self));
  } else if (method === "GET" && path === `${batch}/results`) response.writeHead(200).end(self.results);
  else if (self.traced.has(path.replace("/v1/requests/", ""))) json(response, 200, { type: "request" });
  else refuse(404, "not_found_error", `${method} ${path}`)(response);
}

function describe({ status, progress }: BatchStandIn): object {
  const { processing, succeeded, errored, canceled, expired } = progress;
  const total = processing + succeeded + errored + canceled + expired;
  const isOver = status === "ended";
  return {
    id: standInId,
    type: "message_batch",
    processing_status: status,
    // Held back until the end, as the API does.
    request_counts: isOver ? progress : { processing: total, succeeded: 0, errored: 0, canceled: 0, expired: 0 },
    progress,
    created_at: "2026-11-21T00:00:00Z",
    expires_at: "2026-11-22T00:00:00Z",
    ended_at: isOver ? "2026-11-21T01:00:00Z" : null,
    cancel_initiated_at: null,
    archived_at: null,
    results_url: isOver ? `http://127.0.0.1/v1/messages/batches/${standInId}/results` : null,
  };
}
