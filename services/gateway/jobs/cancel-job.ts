import { setTimeout as sleep } from "node:timers/promises";
import { attemptsIncomplete, canceledOutcome } from "#shared/messages/canceled-outcome.ts";
import type { CallFacts, Outcome } from "#shared/messages/outcome.ts";
import type { CallJob } from "#shared/queue/job.ts";
import type { StoredJob } from "#shared/store/job-store.ts";
import { writeJobEnd } from "#shared/store/write-job-end.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { laneOf } from "./answer-job.ts";

/** What a dispatcher may take to hear of it, to hear its worker out, and to record the end. */
const patienceMs = 1500;
const lookEveryMs = 50;

/**
 * Ends a job, whoever has it; resolves with how it ended, which may be its own end, if that came first. Whoever has it in
 * hand knows what came of it, and records that; what merely lies in the lane ends here, and so does what nobody ends in
 * time. Rejects while Redis is away.
 */
export async function cancelJob(job: StoredJob, deps: GatewayDeps): Promise<Outcome | undefined> {
  const { results, producer, logger } = deps;
  const { callId, keyId } = job;
  const before = await results.read(callId);
  if (before) return before;
  const isRunning = (await producer.find(laneOf(job), callId)) === "running";
  if (isRunning) await results.cancel(callId, job.expiresAt);
  const outcome = (isRunning && (await recordedEnd(callId, deps))) || (await endHere(job, isRunning, deps));
  const last = outcome?.attempts.at(-1);
  if (outcome?.code === "cancelled")
    logger.info(
      { callId, keyId, provider: last?.provider, attempts: outcome.attempts.length, reason: last?.reason },
      "job canceled",
    );
  return outcome;
}

async function recordedEnd(callId: string, { results }: GatewayDeps): Promise<Outcome | undefined> {
  const until = Date.now() + patienceMs;
  for (;;) {
    const outcome = await results.read(callId);
    if (outcome || Date.now() >= until) return outcome;
    await sleep(lookEveryMs);
  }
}

/** Whichever comes first is recorded: the job's own end, or this. */
async function endHere(job: StoredJob, isRunning: boolean, deps: GatewayDeps): Promise<Outcome | undefined> {
  const { results, producer, jobTimes } = deps;
  const { callId, keyId, operation, model, createdAt, hold } = job;
  const lane = laneOf(job);
  const lain = await producer.read(lane, callId);
  const endedAt = Date.now();
  const outcome = canceledOutcome(callId, factsOf(job, lain, { isRunning, endedAt }));
  if ((await results.settle(callId, outcome, "", jobTimes.keepMs)) === "already") return results.read(callId);
  if (!isRunning) await results.cancel(callId, job.expiresAt);
  await producer.remove(lane, callId);
  const { notes } = lain?.head ?? {};
  const head = { id: callId, keyId, operation, model, acceptedAt: createdAt, ...(notes ? { notes } : undefined) };
  writeJobEnd({ head, outcome, endedAt, bill: undefined, hold }, deps);
  return outcome;
}

/** What had come of the job when it was put into its lane for the last time, and how long it has been there. */
function factsOf(
  { createdAt }: StoredJob,
  lain: CallJob | undefined,
  { isRunning, endedAt }: { readonly isRunning: boolean; readonly endedAt: number },
): Pick<CallFacts, "attempts" | "waits" | "notes"> {
  const { attempts, waits, notes, until } = lain?.trail ?? { attempts: [], waits: [], notes: [], until: undefined };
  if (isRunning) return { attempts, waits, notes: [...notes, attemptsIncomplete] };
  const kind = until === undefined ? "queue" : "capacity";
  return { attempts, waits: [...waits, { kind, startedAt: until ?? createdAt, endedAt }], notes };
}
