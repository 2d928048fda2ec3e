import type { RedisConnection } from "#shared/store/connect-redis.ts";
import type { ResultStore } from "#shared/store/result-store.ts";
import type { RunningCalls } from "./running-calls.ts";

export interface WatchCancelsDeps {
  readonly subscriber: RedisConnection;
  readonly results: Pick<ResultStore, "onCancel" | "begin">;
}

/** After an interruption the subscription needs a moment; what is cancelled in it is found by its mark. */
const resubscribedMs = 500;

/**
 * Cancels running calls whose callers are gone. What is cancelled while we are not listening is only marked, so the
 * marks of all running calls are read after every interruption. Returns what stops it.
 */
export function watchCancels(running: RunningCalls, deps: WatchCancelsDeps): () => void {
  const { client } = deps.subscriber;
  const stop = deps.results.onCancel((callId) => running.cancel(callId));
  let timer: NodeJS.Timeout | undefined;
  const readMarks = async (): Promise<void> => {
    const ids = running.ids();
    const states = await Promise.allSettled(ids.map((callId) => deps.results.begin(callId)));
    for (const [index, state] of states.entries())
      if (state.status === "fulfilled" && state.value.cancelled) running.cancel(ids[index] ?? "");
  };
  const onReady = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void readMarks(), resubscribedMs).unref();
  };
  client.on("ready", onReady);
  return () => {
    client.off("ready", onReady);
    clearTimeout(timer);
    stop();
  };
}
