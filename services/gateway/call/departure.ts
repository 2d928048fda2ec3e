import type { Lane } from "#shared/queue/job.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import type { AbandonedJobs, Abandoning } from "./abandoned-jobs.ts";
import type { OpenCall } from "./open-call.ts";

export interface DepartureDeps extends Pick<GatewayDeps, "replies" | "bodies"> {
  readonly abandoned: AbandonedJobs;
}

/** The ways in which a call's first caller leaves it. */
export interface Departure {
  /** At once, and the call with it unless others wait for it. */
  abandon(): Promise<Abandoning>;
  /** Resolves when nobody waits for the call any more and it is cancelled, or when it has ended. */
  abandonAtLast(first: "now" | "later", hasEnded: () => boolean): Promise<void>;
}

/** `bodyKey`: where the call's body lies, if it lies in Redis; dropped with a job that never ran. */
export function createDeparture(
  { head, claim }: OpenCall,
  { lane, bodyKey }: { readonly lane: Lane; readonly bodyKey: string | undefined },
  { abandoned, bodies, replies }: DepartureDeps,
): Departure {
  const caller = { channel: replies.channel, id: head.id };
  const job = { callId: head.id, lane, until: head.deadlineAt, caller };
  const dropBody = (result: Abandoning): Abandoning => {
    if (result === "never_ran" && bodyKey !== undefined) bodies.drop(bodyKey);
    return result;
  };
  return {
    abandon: async () => dropBody(await abandoned.abandon(job)),
    async abandonAtLast(first, hasEnded) {
      let result = first === "now" ? "joined" : await abandoned.abandonLater(job);
      while (result === "joined" && !hasEnded()) result = await abandoned.abandonLater(job);
      if (hasEnded()) return;
      dropBody(result);
      void claim?.release();
    },
  };
}
