import type { ServerResponse } from "node:http";
import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import { lanes, type Lane } from "#shared/queue/job.ts";
import { billCall } from "#shared/routing/bill-call.ts";
import type { StoredJob } from "#shared/store/job-store.ts";
import { writeAnswer, type Answer } from "../answer.ts";
import { answerFromOutcome } from "../answer-headers.ts";
import type { OpenCall } from "../call/open-call.ts";
import type { Preference } from "../call/preference.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { awaitOutcome } from "./await-outcome.ts";
import { describeJob, statusOf, type JobSight } from "./describe-job.ts";
import { jobIdOf } from "./job-id.ts";

/** The POST that made a job, or was made before: the job's answer if it is there in time, else where to ask for it. */
export async function answerWithJob(
  call: OpenCall,
  asked: { readonly job: StoredJob; readonly wishes: { readonly pathPrefix: string }; readonly preference: Preference },
  deps: GatewayDeps,
): Promise<void> {
  const { job, wishes, preference } = asked;
  const { response, head } = call;
  // The same job may have been made by an earlier request; then this one ends here.
  call.handOver();
  const options = { waiterId: head.id, waitMs: preference.waitMs, response };
  const outcome = await awaitOutcome(job, options, deps).catch(() => undefined);
  const answer = outcome ? endedAnswer(job, outcome, deps) : await pendingAnswer(job, wishes.pathPrefix, deps);
  answer.headers["preference-applied"] = preference.applied;
  writeAnswer(response, job.callId, answer);
}

/** What `GET /v1/jobs/{id}` answers. Rejects with `overloaded` while Redis is away. */
export async function jobAnswer(
  job: StoredJob,
  asked: { readonly pathPrefix: string; readonly waiterId: string; readonly waitMs: number },
  deps: GatewayDeps & { readonly response: ServerResponse },
): Promise<Answer> {
  const { waiterId, waitMs, pathPrefix } = asked;
  const outcome = await awaitOutcome(job, { waiterId, waitMs, response: deps.response }, deps);
  if (outcome) return endedAnswer(job, outcome, deps);
  if (Date.now() <= job.expiresAt + graceMs) return pendingAnswer(job, pathPrefix, deps);
  // Nobody has come to say so.
  const error = new GatewayError("timed_out", "The job was not done before it expired.", { shouldRetry: false });
  return endedAnswer(job, errorOutcome(error, job.callId), deps);
}

/** What a dispatcher may take to write down that a job has expired. */
const graceMs = 10_000;

export async function lookAtJob(job: StoredJob, outcome: Outcome | undefined, deps: GatewayDeps): Promise<JobSight> {
  const lies = outcome ? "absent" : await deps.producer.find(laneOf(job), job.callId).catch(() => "absent" as const);
  return { job, outcome, lies, now: Date.now() };
}

function endedAnswer(job: StoredJob, outcome: Outcome, { prices }: GatewayDeps): Answer {
  const at = job.createdAt;
  const answer = answerFromOutcome(outcome, billCall(outcome, { model: job.model, at }, prices));
  answer.headers["x-sluice-job-id"] = jobIdOf(job.callId);
  answer.headers["x-sluice-job-status"] = statusOf({ job, outcome, lies: "absent", now: Date.now() });
  return answer;
}

async function pendingAnswer(job: StoredJob, pathPrefix: string, deps: GatewayDeps): Promise<Answer> {
  const sight = await lookAtJob(job, undefined, deps);
  const id = jobIdOf(job.callId);
  return {
    status: 202,
    headers: {
      "content-type": "application/json",
      location: `${deps.server.publicUrl}${pathPrefix}/v1/jobs/${id}`,
      "retry-after": "1",
      "x-sluice-job-id": id,
      "x-sluice-job-status": statusOf(sight),
    },
    body: JSON.stringify(describeJob(sight)),
  };
}

export function laneOf({ lane }: StoredJob): Lane {
  return lanes.find((known) => known === lane) ?? "background";
}
