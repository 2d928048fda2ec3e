import type { Outcome } from "#shared/messages/outcome.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { readOutcomes, type OutcomeRecord } from "./outcome-codec.ts";
import { createSealer } from "./sealer.ts";
import { PassingMap } from "#shared/runtime/passing.ts";
import { createStoreKeys } from "./store-keys.ts";
import { subscribeChannel } from "./subscribe-channel.ts";

export interface ReplyBusOptions {
  readonly subscriber: RedisConnection;
  readonly prefix: string;
  /** Names this process' channel; no two live processes may share it. */
  readonly instanceId: string;
  readonly logger: Logger;
  readonly encryptionKey?: string;
}

/** Outcomes of queued calls, as they are settled, for the process that asked. */
export interface ReplyBus {
  /** What goes into a job as `replyTo`. */
  readonly channel: string;
  /**
   * Calls `onOutcome` once, when the call's outcome arrives. Register before the job is added: a fast one may be
   * answered at once. Several may wait for one call. Returns what stops waiting; harmless after the outcome.
   */
  expect(callId: string, onOutcome: OutcomeListener): () => void;
  /** Somebody at that channel wants the outcome of a call that this process began; returns what stops it. */
  onWanted(listener: (callId: string, channel: string) => void): () => void;
  /** There will be no outcome for the call, its process says; returns what stops it. */
  onGone(listener: (callId: string) => void): () => void;
  /** Since when outcomes may be lost (milliseconds since the epoch), undefined while the channel is subscribed. */
  readonly interruptedSince: number | undefined;
  /** Calls the listener after every interruption, once Redis has confirmed the subscription; returns what stops it. */
  onRestored(listener: () => void): () => void;
  /** Resolves at the first confirmation; rejects with the signal's reason. */
  ready(signal?: AbortSignal): Promise<void>;
  close(): void;
}

type OutcomeListener = (outcome: Outcome) => void;

export function createReplyBus(options: ReplyBusOptions): ReplyBus {
  const { logger } = options;
  const sealer = options.encryptionKey ? createSealer(options.encryptionKey) : undefined;
  const channel = createStoreKeys(options.prefix).replyChannel(options.instanceId);
  const waiting = new PassingMap<string, OutcomeListener | readonly OutcomeListener[]>();
  const restored = new Set<() => void>();
  const wanted = new Set<(callId: string, channel: string) => void>();
  const gone = new Set<(callId: string) => void>();
  let interruptedSince: number | undefined = Date.now();
  const first = Promise.withResolvers<void>();

  function deliver(record: OutcomeRecord): void {
    if (record.kind === "wanted") for (const listener of wanted) listener(record.callId, record.channel);
    if (record.kind === "gone") for (const listener of gone) listener(record.callId);
    const onOutcome = record.kind === "outcome" ? waiting.get(record.callId) : undefined;
    if (!onOutcome) return;
    const outcome = record.decode();
    waiting.delete(record.callId);
    if (typeof onOutcome === "function") onOutcome(outcome);
    else for (const one of onOutcome) one(outcome);
  }
  const subscription = subscribeChannel(options.subscriber, channel, {
    message(message) {
      try {
        for (const record of readOutcomes(message, sealer)) deliver(record);
      } catch (error) {
        logger.error({ err: error }, "unreadable reply");
      }
    },
    confirmed(isFirst) {
      interruptedSince = undefined;
      first.resolve();
      if (!isFirst) for (const listener of restored) listener();
    },
    interrupted() {
      interruptedSince = Date.now();
    },
  });
  return {
    channel,
    expect(callId, onOutcome) {
      const others = waiting.get(callId);
      waiting.set(callId, others === undefined ? onOutcome : [others, onOutcome].flat());
      return () => {
        const listeners = waiting.get(callId);
        const left = typeof listeners === "object" ? listeners.filter((one) => one !== onOutcome) : [];
        if (left.length > 0) waiting.set(callId, left);
        else if (listeners === onOutcome || typeof listeners === "object") waiting.delete(callId);
      };
    },
    get interruptedSince() {
      return interruptedSince;
    },
    onRestored(listener) {
      restored.add(listener);
      return () => restored.delete(listener);
    },
    onWanted(listener) {
      wanted.add(listener);
      return () => wanted.delete(listener);
    },
    onGone(listener) {
      gone.add(listener);
      return () => gone.delete(listener);
    },
    ready: (signal) => (signal ? abortable(first.promise, signal) : first.promise),
    close() {
      void subscription.close();
      waiting.clear();
      restored.clear();
    },
  };
}

function abortable(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    void promise.then(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
  });
}
