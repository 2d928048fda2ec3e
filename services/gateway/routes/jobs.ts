import type { FastifyRequest, RouteHandlerMethod } from "fastify";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import type { StoredJob } from "#shared/store/job-store.ts";
import { writeAnswer, writeJson } from "../answer.ts";
import { readIdempotencyKey } from "../call/idempotency-key.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { jobAnswer, lookAtJob } from "../jobs/answer-job.ts";
import { cancelJob } from "../jobs/cancel-job.ts";
import { describeJob } from "../jobs/describe-job.ts";
import { callIdOf, jobIdOf } from "../jobs/job-id.ts";
import { sendError } from "../plugins/errors.ts";

const longestWaitS = 200;
const usualLimit = 20;
const mostListed = 100;

/** `GET /v1/jobs/{id}`: 202 with the job while it goes on, then its answer as a synchronous call would have had it. */
export function jobRoute(deps: GatewayDeps): RouteHandlerMethod {
  return handled(deps, async (request, response) => {
    const waitMs = 1000 * readCount(request, "wait", { fallback: 0, most: longestWaitS });
    const job = await readJob(request, deps);
    const pathPrefix = request.url.slice(0, Math.max(0, request.url.indexOf("/v1/")));
    const asked = { waitMs, pathPrefix, waiterId: request.id };
    writeAnswer(response, job.callId, await jobAnswer(job, asked, { ...deps, response }));
  });
}

/** `POST /v1/jobs/{id}/cancel`: the job as it is then; one that was done before stays as it ended. Detached streams too. */
export function cancelJobRoute(deps: GatewayDeps): RouteHandlerMethod {
  return handled(deps, async (request, response) => {
    readIdempotencyKey(request.headers);
    const { id = "" } = request.params as { readonly id?: string };
    if (await deps.recordings.cancelDetached(request.caller.keyId, id)) {
      writeJson(response, request.id, { id, type: "message_job", status: "canceled" });
      return;
    }
    const job = await readJob(request, deps);
    const outcome = await cancelJob(job, deps);
    writeJson(response, job.callId, describeJob(await lookAtJob(job, outcome, deps)));
  });
}

/** `GET /v1/jobs`: the key's jobs, newest first. */
export function jobListRoute(deps: GatewayDeps): RouteHandlerMethod {
  return handled(deps, async (request, response) => {
    const limit = readCount(request, "limit", { fallback: usualLimit, most: mostListed });
    const { after_id: after } = request.query as { readonly after_id?: string };
    const afterId = after === undefined ? undefined : callIdOf(after);
    const found = await deps.jobs.list(request.caller.keyId, { limit: limit + 1, afterId });
    const shown = found.slice(0, limit);
    const sights = await Promise.all(
      shown.map(async (job) => lookAtJob(job, await deps.results.read(job.callId), deps)),
    );
    writeJson(response, request.id, {
      data: sights.map(describeJob),
      has_more: found.length > limit,
      first_id: idOf(shown[0]),
      last_id: idOf(shown.at(-1)),
    });
  });
}

type Handler = (request: FastifyRequest, response: Parameters<typeof writeJson>[0]) => Promise<void>;

function handled({ logger }: GatewayDeps, handler: Handler): RouteHandlerMethod {
  return (request, reply) => {
    reply.hijack();
    handler(request, reply.raw).catch((reason: unknown) => {
      if (!(reason instanceof GatewayError)) logger.warn({ err: reason, callId: request.id }, "jobs not looked up");
      // What is not ours to say comes from Redis.
      const error =
        reason instanceof GatewayError
          ? toGatewayError(reason)
          : new GatewayError("overloaded", "Jobs cannot be looked up now.", { retryAfterS: 1, cause: reason });
      sendError(request, reply, error);
    });
  };
}

async function readJob(request: FastifyRequest, { jobs }: GatewayDeps): Promise<StoredJob> {
  const { id = "" } = request.params as { readonly id?: string };
  const job = await jobs.get(request.caller.keyId, callIdOf(id));
  if (!job) throw new GatewayError("not_found", `job: ${id}`);
  return job;
}

function idOf(job: StoredJob | undefined): string | null {
  return job ? jobIdOf(job.callId) : null;
}

/** A number from the query. Throws `invalid_request` for what is none; more than the most is the most. */
function readCount(
  request: FastifyRequest,
  name: string,
  { fallback, most }: { readonly fallback: number; readonly most: number },
): number {
  const text = (request.query as Readonly<Record<string, unknown>>)[name];
  if (text === undefined || text === "") return fallback;
  if (typeof text !== "string" || !/^\d{1,6}$/.test(text))
    throw new GatewayError("invalid_request", `${name}: Input should be a whole number, not less than 0.`);
  return Math.min(Number(text), most);
}
