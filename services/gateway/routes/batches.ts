import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from "fastify";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { BatchPageQuery } from "#shared/store/batch-store.ts";
import type { BatchRecord } from "#shared/store/batch-record.ts";
import { writeJson } from "../answer.ts";
import { describeBatch } from "../batches/describe-batch.ts";
import { receiveBatch, type ReceiveDeps } from "../batches/receive-batch.ts";
import { resultsUrl } from "../batches/results-url.ts";
import { writeResults } from "../batches/write-results.ts";
import { sendError } from "../plugins/errors.ts";

/** Where batches are served; under the longer prefixes only Claude models are. */
export interface BatchEndpoint {
  readonly prefix: string;
  readonly claudeOnly: boolean;
}

type BatchRoutes = Readonly<
  Record<"create" | "list" | "retrieve" | "cancel" | "delete" | "results", RouteHandlerMethod>
>;

/** Message Batches, each visible to the key that made it only. */
export function batchRoutes(endpoint: BatchEndpoint, deps: ReceiveDeps): BatchRoutes {
  const { batches } = deps;
  const show = (request: FastifyRequest, batch: BatchRecord): object =>
    describeBatch(batch, resultsUrl(request, { publicUrl: deps.server.publicUrl, prefix: endpoint.prefix }, batch.id));

  async function find(request: FastifyRequest): Promise<BatchRecord> {
    const id = idOf(request);
    return known(id, await batches.find(request.caller.keyId, id).catch(unavailable));
  }
  return {
    create: route(deps, async (request, reply) => {
      const { keyId } = request.caller;
      const id = await receiveBatch(request, reply, { ...deps, claudeOnly: endpoint.claudeOnly });
      const batch = known(id, await batches.find(keyId, id).catch(unavailable));
      deps.logger.info({ batchId: id, keyId, items: batch.total, errored: batch.ends.errored }, "batch created");
      return show(request, batch);
    }),
    list: route(deps, async (request) => {
      const page = await batches.page(request.caller.keyId, readPageQuery(request.query as Query)).catch(unavailable);
      if (!page) throw new GatewayError("invalid_request", "after_id, before_id: No such batch in this list");
      const data = page.batches.map((batch) => show(request, batch));
      const ids = page.batches.map(({ id }) => id);
      return { data, has_more: page.hasMore, first_id: ids.at(0) ?? null, last_id: ids.at(-1) ?? null };
    }),
    retrieve: route(deps, async (request) => show(request, await find(request))),
    cancel: route(deps, async (request) => {
      await batches.cancel(request.caller.keyId, idOf(request)).catch(unavailable);
      return show(request, await find(request));
    }),
    delete: route(deps, async (request) => {
      const id = idOf(request);
      const deleted = await batches.delete(request.caller.keyId, id).catch(unavailable);
      if (deleted === "absent") throw noSuchBatch(id);
      if (deleted === "running")
        throw new GatewayError("invalid_request", `Batch ${id} has not ended yet; cancel it first.`);
      return { id, type: "message_batch_deleted" };
    }),
    results: route(deps, async (request, reply) => {
      const batch = await find(request);
      if (batch.state !== "ended")
        throw new GatewayError("invalid_request", `Batch ${batch.id} has not ended yet; it has no results.`);
      if (Date.now() >= batch.keepUntil)
        throw new GatewayError("not_found", `The results of batch ${batch.id} are not kept any longer.`);
      await writeResults(reply.raw, request.id, batches.results(batch)).catch(unavailable);
      return undefined;
    }),
  };
}

type AnswerBatch = (request: FastifyRequest, reply: FastifyReply) => Promise<object | undefined>;

function route({ logger }: ReceiveDeps, answer: AnswerBatch): RouteHandlerMethod {
  return (request, reply) => {
    reply.hijack();
    answer(request, reply).then(
      (value) => {
        if (value) writeJson(reply.raw, request.id, value);
      },
      (reason: unknown) => {
        const error = toGatewayError(reason);
        if (error.code === "internal") logger.error({ err: reason, callId: request.id }, "a batch request failed");
        if (error.code === "cancelled") reply.raw.destroy();
        else sendError(request, reply, error);
      },
    );
  };
}

function idOf(request: FastifyRequest): string {
  return (request.params as { readonly id: string }).id;
}

function known(id: string, batch: BatchRecord | undefined): BatchRecord {
  if (batch === undefined) throw noSuchBatch(id);
  return batch;
}

function noSuchBatch(id: string): GatewayError {
  return new GatewayError("not_found", `batch: ${id.slice(0, 100)}`);
}

function unavailable(cause: unknown): never {
  throw new GatewayError("overloaded", "Batches are not available at the moment.", { retryAfterS: 1, cause });
}

type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

const usualLimit = 20;
const mostLimit = 1000;

function readPageQuery({ limit: written, after_id: after, before_id: before }: Query): BatchPageQuery {
  const limit = written === undefined ? usualLimit : Number(written);
  if (!Number.isInteger(limit) || limit < 1 || limit > mostLimit)
    throw new GatewayError("invalid_request", `limit: Input should be a whole number from 1 to ${mostLimit}`);
  const isGiven = (id: typeof after): id is string => typeof id === "string" && id !== "";
  if (isGiven(after) && isGiven(before))
    throw new GatewayError("invalid_request", "after_id: Only one of after_id and before_id may be given");
  if (isGiven(after)) return { limit, cursor: { side: "after", id: after } };
  if (isGiven(before)) return { limit, cursor: { side: "before", id: before } };
  return { limit };
}
