import type { Outcome } from "#shared/messages/outcome.ts";
import type { StoredJob } from "#shared/store/job-store.ts";
import { jobIdOf } from "./job-id.ts";

export type JobStatus = "queued" | "running" | "succeeded" | "failed" | "canceled" | "expired";

export interface JobSight {
  readonly job: StoredJob;
  readonly outcome: Outcome | undefined;
  /** As the queue knows it. */
  readonly lies: "waiting" | "running" | "absent";
  readonly now: number;
}

export function statusOf({ job, outcome, lies, now }: JobSight): JobStatus {
  if (outcome?.code === "cancelled") return "canceled";
  if (outcome?.status === 200) return "succeeded";
  if (outcome) return (endOf(outcome) ?? now) >= job.expiresAt || outcome.code === "timed_out" ? "expired" : "failed";
  if (now > job.expiresAt) return "expired";
  return lies === "running" ? "running" : "queued";
}

/** The job as callers see it. */
export function describeJob(sight: JobSight): object {
  const { job, outcome } = sight;
  const id = jobIdOf(job.callId);
  const endedAt = outcome ? endOf(outcome) : undefined;
  return {
    id,
    type: "message_job",
    status: statusOf(sight),
    operation: job.operation,
    model: job.model,
    created_at: instant(job.createdAt),
    expires_at: instant(job.expiresAt),
    ended_at: endedAt === undefined ? null : instant(endedAt),
    request_id: job.callId,
  };
}

/** When the last thing happened that the outcome tells of. */
function endOf({ attempts, waits }: Outcome): number | undefined {
  const ends = [...attempts, ...waits].map(({ endedAt }) => endedAt);
  return ends.length === 0 ? undefined : Math.max(...ends);
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
