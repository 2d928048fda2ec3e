import type { EventLog, EventOwner } from "#shared/store/event-log.ts";
import { within } from "#shared/runtime/within.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import type { TurnQueue } from "../turn-queue.ts";
import { Recording } from "./recording.ts";

/** The streams that this process records. */
export interface Recordings {
  /** Undefined when the stream cannot be recorded now. */
  begin(owner: EventOwner, turns: TurnQueue): Promise<Recording | undefined>;
  /** Cancels a stream that goes on for this key, whichever gateway records it; false when there is none. */
  cancelDetached(keyId: string, callId: string): Promise<boolean>;
  /** Resolves when nothing is recorded any more. */
  idle(): Promise<void>;
  /** Gives up what is recorded. */
  close(): void;
}

export interface RecordingsOptions {
  readonly log: EventLog;
  readonly maxBytes: number;
}

/** A stream does not wait longer than this for the beginning of its recording. */
const beginMs = 250;

export function createRecordings({ log, maxBytes }: RecordingsOptions): Recordings {
  const open = new Map<Recording, () => void>();
  let whenIdle: PromiseWithResolvers<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  function renew(recording: Recording): void {
    if (!recording.isOpen) return;
    log.renew(recording.owner).then(
      (isCancelled) => (isCancelled ? recording.listener?.cancelled() : undefined),
      // Lost leases are the log's to notice: the next entry tells.
      () => undefined,
    );
  }
  function closed(recording: Recording): void {
    open.get(recording)?.();
    open.delete(recording);
    metrics.recordedStreams.set(open.size);
    if (open.size > 0) return;
    clearInterval(timer);
    timer = undefined;
    whenIdle?.resolve();
    whenIdle = undefined;
  }
  return {
    async begin(owner, turns) {
      if (!(await within(beginMs, log.begin(owner)))) return undefined;
      const recording: Recording = new Recording({ log, owner, turns, maxBytes, onClosed: () => closed(recording) });
      open.set(
        recording,
        log.onCancel(owner, () => renew(recording)),
      );
      metrics.recordedStreams.set(open.size);
      timer ??= setInterval(() => open.forEach((_stop, each) => renew(each)), log.renewEveryMs);
      return recording;
    },
    cancelDetached: (keyId, callId) => log.cancel({ keyId, callId }),
    idle() {
      if (open.size === 0) return Promise.resolve();
      whenIdle ??= Promise.withResolvers();
      return whenIdle.promise;
    },
    close: () => open.forEach((_stop, recording) => recording.giveUp()),
  };
}
