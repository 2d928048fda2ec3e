import { errorBody, messageBody } from "./wire-samples.ts";
import { startUpstream, type Exchange, type Upstream } from "./upstream.ts";

interface Request {
  readonly custom_id: string;
  readonly params: { readonly model: string; readonly messages: readonly { readonly content: string }[] };
}

/** A batch as this provider has it. */
export interface BatchThere {
  readonly id: string;
  readonly createdAt: string;
  readonly requests: readonly Request[];
  status: "in_progress" | "canceling" | "ended";
  wasCancelled: boolean;
}

/** A provider with Message Batches of its own. A prompt that begins with `errored`, `invalid`, `expired` or `canceled` ends so. */
export interface BatchingUpstream {
  readonly upstream: Upstream;
  readonly batches: BatchThere[];
  /** New batches end at once; else when a test says so. */
  endsAtOnce: boolean;
  /** The batch is made, and its creator never hears of it. */
  losesAnswers: boolean;
  refuseNext(status: number): void;
  /** Prompts that came as ordinary calls. */
  calls(): string[];
  close(): Promise<void>;
}

const path = "/v1/messages/batches";

export async function startBatchingUpstream(): Promise<BatchingUpstream> {
  const upstream = await startUpstream();
  const refusals: number[] = [];
  const self: BatchingUpstream = {
    upstream,
    batches: [],
    endsAtOnce: true,
    losesAnswers: false,
    refuseNext: (status) => void refusals.push(status),
    calls: () => upstream.requests.filter((request) => request.path === "/v1/messages").map(({ prompt }) => prompt),
    close: () => upstream.close(),
  };
  upstream.onRequest((exchange) => {
    const { method, path: asked } = exchange.request;
    if (asked === "/v1/messages") return exchange.message(`call: ${exchange.request.prompt}`);
    const url = new URL(asked, "http://x");
    if (method === "POST" && url.pathname === path) return create(exchange, self, refusals.shift());
    if (url.pathname === path) return list(exchange, self);
    const [id = "", verb] = url.pathname.slice(path.length + 1).split("/");
    const batch = self.batches.find((each) => each.id === id);
    if (!batch) return exchange.error(404);
    if (verb === "results") return void exchange.response.writeHead(200).end(resultsOf(batch));
    if (verb === "cancel") {
      batch.status = "ended";
      batch.wasCancelled = true;
    }
    return exchange.json(200, describe(batch));
  });
  return self;
}

function create(exchange: Exchange, self: BatchingUpstream, refusal: number | undefined): void {
  if (refusal !== undefined) return exchange.error(refusal);
  const { requests } = JSON.parse(exchange.request.body.toString()) as { requests: Request[] };
  const batch: BatchThere = {
    id: `msgbatch_there${self.batches.length}`,
    createdAt: new Date().toISOString(),
    requests,
    status: self.endsAtOnce ? "ended" : "in_progress",
    wasCancelled: false,
  };
  self.batches.unshift(batch);
  if (self.losesAnswers) exchange.reset();
  else exchange.json(200, describe(batch));
}

function list(exchange: Exchange, self: BatchingUpstream): void {
  exchange.json(200, { data: self.batches.map(describe), has_more: false });
}

function describe({ id, createdAt, requests, status }: BatchThere): object {
  const isOver = status === "ended";
  const counts = { processing: isOver ? 0 : requests.length, succeeded: isOver ? requests.length : 0 };
  return { id, type: "message_batch", processing_status: status, created_at: createdAt, request_counts: counts };
}

function resultsOf({ requests, wasCancelled }: BatchThere): string {
  return requests.map((request) => `${JSON.stringify(lineOf(request, wasCancelled))}\n`).join("");
}

function lineOf({ custom_id: customId, params }: Request, wasCancelled: boolean): object {
  const prompt = params.messages[0]?.content ?? "";
  const [how = ""] = prompt.split(" ");
  if (wasCancelled || how === "canceled") return { custom_id: customId, result: { type: "canceled" } };
  if (how === "expired") return { custom_id: customId, result: { type: "expired" } };
  if (how === "errored" || how === "invalid") {
    const error = errorBody(how === "errored" ? 500 : 400);
    return { custom_id: customId, result: { type: "errored", error } };
  }
  return {
    custom_id: customId,
    result: { type: "succeeded", message: messageBody(`batch: ${prompt}`, params.model) },
  };
}
