import type { ServerResponse } from "node:http";
import { errorEnvelope, GatewayError } from "#shared/messages/error.ts";
import type { EventEntry, EventLog, EventOwner, EventPage, EventsEnd } from "#shared/store/event-log.ts";
import type { CallClock, Ticking } from "../call-clock.ts";
import { SseReply } from "../sse-reply.ts";
import type { TurnQueue } from "../turn-queue.ts";
import { EventScanner, numberEvents } from "./event-scanner.ts";

export interface ReplayOptions {
  readonly events: EventLog;
  readonly owner: EventOwner;
  /** Number of the last event that is known already; 0 for none. */
  readonly after: number;
  readonly clock: CallClock;
  readonly turns: TurnQueue;
  /** Silence after which the reader gets a comment. */
  readonly pingAfterMs: number;
  /** So long Redis may be away while the recording is read. */
  readonly patienceMs?: number;
}

const usualPatienceMs = 30_000;
/** News come by themselves; this is for those that got lost, and for a recording gateway that died. */
const lookEveryMs = 1000;

/** Where to read for the events after number `after`: the entry that ends in it says whether it was the last. */
export function readingPoint(after: number): string {
  return after === 0 ? "0-1" : `${after - 1}-9`;
}

/**
 * A recording on its reader's socket: what is there, then what comes, a page at a time and none before the last one has
 * been taken. Every byte of it is the recording's; what is added in silence are comments.
 */
export class Replay implements Ticking {
  readonly #options: ReplayOptions;
  readonly #reply: SseReply;
  #readId: string;
  #untaken = 0;
  #isClosed = false;
  #hasNews = false;
  /** Since when nobody records the stream, by what was read. */
  #desertedAt: number | undefined;
  #wake: (() => void) | undefined;

  constructor(response: ServerResponse, options: ReplayOptions) {
    this.#options = options;
    this.#readId = readingPoint(options.after);
    this.#reply = new SseReply(response, {
      turns: options.turns,
      callId: options.owner.callId,
      onConsumed: (bytes) => {
        this.#untaken -= bytes;
        this.#wake?.();
      },
      onLeft: () => {
        this.#isClosed = true;
        this.#wake?.();
      },
    });
  }

  tick(now: number): void {
    if (now - this.#reply.writtenAt >= this.#options.pingAfterMs) this.#reply.comment(now);
  }

  /** From the first page to the end of the recording, or until the reader leaves. Never rejects. */
  async run(first: EventPage): Promise<void> {
    const { clock, events, owner } = this.#options;
    this.#reply.begin(200, {}, Date.now());
    const leaveClock = clock.add(this);
    const stopListening = events.onAppended(owner, () => {
      this.#hasNews = true;
      this.#wake?.();
    });
    try {
      await this.#follow(first);
    } finally {
      stopListening();
      leaveClock();
    }
  }

  async #follow(first: EventPage): Promise<void> {
    let page: EventPage | undefined = first;
    while (page && !this.#isClosed) {
      const end = this.#writePage(page.entries);
      if (end) return this.#finish(end);
      if (this.#isDeserted(page)) return this.#fail("The gateway that recorded this stream is gone.");
      while (this.#untaken > 0 && !this.#isClosed) await this.#sleep(lookEveryMs);
      if (page.entries.length === 0 && !this.#hasNews) await this.#sleep(lookEveryMs);
      page = await this.#read();
    }
    if (!this.#isClosed) this.#fail("The recording of this stream can no longer be read.");
  }

  #writePage(entries: readonly EventEntry[]): EventsEnd | undefined {
    for (const { id, first, bytes, end } of entries) {
      this.#readId = id;
      const scanner = new EventScanner(first - 1);
      scanner.scan(bytes);
      const numbered = numberEvents(bytes, scanner, this.#options.after);
      if (numbered.length > 0) {
        this.#untaken += numbered.length;
        this.#reply.write(numbered);
      }
      if (end) return end;
    }
    return undefined;
  }

  /** A lease that ran out while Redis was away is taken again with the next renewal. */
  #isDeserted({ entries, isLive }: EventPage): boolean {
    if (entries.length > 0 || isLive) {
      this.#desertedAt = undefined;
      return false;
    }
    this.#desertedAt ??= Date.now();
    return Date.now() - this.#desertedAt > this.#options.events.renewEveryMs * 1.5;
  }

  /** Undefined when the recording is gone, or Redis was away for too long. */
  async #read(): Promise<EventPage | undefined> {
    const { events, owner, patienceMs = usualPatienceMs } = this.#options;
    const giveUpAt = Date.now() + patienceMs;
    for (;;) {
      this.#hasNews = false;
      try {
        return await events.read(owner, this.#readId);
      } catch {
        if (this.#isClosed || Date.now() >= giveUpAt) return undefined;
        await this.#sleep(lookEveryMs);
      }
    }
  }

  /** Until something happens, at most so long. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#wake = wake;
    });
  }

  #finish(end: EventsEnd): void {
    if (end === "complete") this.#reply.end();
    else this.#reply.endBroken();
  }

  #fail(words: string): void {
    this.#reply.fail(errorEnvelope(new GatewayError("internal", words), this.#options.owner.callId));
  }
}
