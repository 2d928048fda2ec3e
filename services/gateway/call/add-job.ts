import { AddError, type JobProducer } from "#shared/queue/job-producer.ts";
import type { CallJob, Lane } from "#shared/queue/job.ts";
import type { BodyStore } from "#shared/store/body-store.ts";
import type { OpenCall } from "./open-call.ts";

/** Bodies up to here travel in the job, larger ones lie in Redis once. */
const inlineBytes = 16_384;
const bodyMarginMs = 60_000;

export interface AddJobDeps {
  readonly producer: Pick<JobProducer, "add">;
  readonly bodies: BodyStore;
}

export interface JobToAdd {
  readonly lane: Lane;
  readonly job: Omit<CallJob, "body" | "bodyKey">;
  readonly bytes: Buffer;
  /** For a large body: nobody needs the job any more, so it is not written. */
  readonly isGone?: () => boolean;
  readonly onBodyKey?: (key: string) => void;
}

/** `reopened`: somebody may have opened the call before. */
export function jobOf(
  { head, claim }: Pick<OpenCall, "head" | "claim">,
  { replyTo, reopened }: { readonly replyTo: string; readonly reopened: boolean },
): JobToAdd["job"] {
  const job = { version: 1, head, replyTo, enqueuedAt: Date.now() } as const;
  return { ...job, ...(reopened ? { reopened } : undefined), ...(claim ? { keepMs: claim.keepMs } : undefined) };
}

/** Puts a call and its body into a lane. Rejects with `AddError`. */
export function addJob({ lane, job, bytes, ...rest }: JobToAdd, { producer, bodies }: AddJobDeps): Promise<void> {
  if (bytes.length <= inlineBytes && !bodies.isSealed)
    return producer.add(lane, { ...job, body: bytes.toString("utf8") });
  return addByKey({ lane, job, bytes, ...rest }, { producer, bodies });
}

async function addByKey(
  { lane, job, bytes, isGone, onBodyKey }: JobToAdd,
  { producer, bodies }: AddJobDeps,
): Promise<void> {
  const ttlMs = job.head.deadlineAt - Date.now() + bodyMarginMs;
  const bodyKey = await bodies.put(job.head.id, bytes, ttlMs).catch((reason: unknown) => {
    throw new AddError("not_sent", "the body could not be stored", { cause: reason });
  });
  onBodyKey?.(bodyKey);
  if (!isGone?.()) await producer.add(lane, { ...job, bodyKey });
}
