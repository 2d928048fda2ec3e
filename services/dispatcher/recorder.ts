import type { Outcome } from "#shared/messages/outcome.ts";
import type { CallJob } from "#shared/queue/job.ts";

/** Where the outcome of a job goes for which no caller waits. Rejects while Redis is away. */
export interface Recorder {
  /** Once, whoever comes second. */
  record(job: CallJob, outcome: Outcome): Promise<"recorded" | "already">;
}
