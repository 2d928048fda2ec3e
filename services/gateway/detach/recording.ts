import {
  firstEventId,
  type EventEntry,
  type EventLog,
  type EventOwner,
  type EventsEnd,
} from "#shared/store/event-log.ts";
import type { TurnQueue } from "../turn-queue.ts";
import type { EventScanner } from "./event-scanner.ts";

export interface RecordingOptions {
  readonly log: EventLog;
  readonly owner: EventOwner;
  readonly turns: TurnQueue;
  /** Most bytes of events. */
  readonly maxBytes: number;
  /** So long Redis may be away before the recording is given up. */
  readonly patienceMs?: number;
  /** Everything is written, or given up. */
  readonly onClosed: () => void;
}

export interface RecordingListener {
  /** The recording ends before its stream; nothing more is recorded. At most once. */
  stopped(why: "full" | "lost"): void;
  /** Somebody asked for the call to be cancelled. */
  cancelled(): void;
}

const usualPatienceMs = 30_000;
const retryMs = 500;

/**
 * The events of one stream on their way into the log: those that became whole during one turn are one entry, one entry
 * is on its way at a time, and one that may or may not have arrived is sent again under its id.
 *
 * States: open → finishing (no more events; the last entries are on their way) → closed.
 */
export class Recording {
  readonly owner: EventOwner;
  listener: RecordingListener | undefined;
  readonly #options: RecordingOptions;
  #state: "open" | "finishing" | "closed" = "open";
  #pieces: Buffer[] = [];
  #heldBytes = 0;
  /** Of the held bytes, those of whole events. */
  #wholeBytes = 0;
  #allBytes = 0;
  /** Number of the last event that became whole, and of the last one that is in an entry. */
  #ended = 0;
  #taken = 0;
  #end: EventsEnd | undefined;
  #lastId = firstEventId;
  #onItsWay: EventEntry | undefined;
  #failingSince: number | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: RecordingOptions) {
    this.#options = options;
    this.owner = options.owner;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Bytes of the stream, which stay as they are, just scanned by `scanner`. */
  write(bytes: Buffer, { border, ended }: EventScanner): void {
    if (this.#state !== "open") return;
    if (this.#allBytes + bytes.length > this.#options.maxBytes) {
      this.listener?.stopped("full");
      return;
    }
    this.#hold(bytes);
    if (border === -1) return;
    this.#wholeBytes = this.#heldBytes - (bytes.length - border);
    this.#ended = ended;
    if (ended > this.#taken && this.#onItsWay === undefined) this.#options.turns.add(this);
  }

  /** The stream is over. What is half said is left out; `lastEvent` is put behind it. */
  finish(end: EventsEnd, lastEvent?: Buffer): void {
    if (this.#state !== "open") return;
    this.#state = "finishing";
    this.#end = end;
    if (lastEvent) {
      this.#keepWhole();
      this.#hold(lastEvent);
      this.#wholeBytes = this.#heldBytes;
      this.#ended += 1;
    }
    if (this.#onItsWay === undefined) this.#options.turns.add(this);
  }

  /** Nothing more is written, and whoever reads will find that nobody records any more. */
  giveUp(): void {
    if (this.#state === "closed") return;
    const wasOpen = this.#state === "open";
    this.#state = "closed";
    clearTimeout(this.#retry);
    this.#pieces = [];
    this.#options.onClosed();
    if (wasOpen) this.listener?.stopped("lost");
  }

  /** Sends what has become whole. */
  flush(): void {
    if (this.#state === "closed" || this.#onItsWay !== undefined) return;
    if (this.#ended === this.#taken && this.#end === undefined) return;
    this.#onItsWay = this.#takeEntry();
    this.#send(this.#onItsWay);
  }

  #hold(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#heldBytes += bytes.length;
    this.#allBytes += bytes.length;
  }

  #keepWhole(): Buffer {
    const held = Buffer.concat(this.#pieces, this.#heldBytes);
    const whole = held.subarray(0, this.#wholeBytes);
    this.#pieces = [whole];
    this.#heldBytes = whole.length;
    return held.subarray(whole.length);
  }

  #takeEntry(): EventEntry {
    const rest = this.#keepWhole();
    const [bytes = Buffer.alloc(0)] = this.#pieces;
    const hasEvents = this.#ended > this.#taken;
    // An entry that only says that this was the end follows the one with the last event.
    const entry = {
      id: `${this.#ended}-${hasEvents ? 0 : 2}`,
      first: this.#taken + 1,
      bytes: hasEvents ? bytes : Buffer.alloc(0),
      ...(this.#end === undefined ? undefined : { end: this.#end }),
    };
    this.#pieces = rest.length > 0 ? [Buffer.from(rest)] : [];
    this.#heldBytes = rest.length;
    this.#wholeBytes = 0;
    this.#taken = this.#ended;
    return entry;
  }

  #send(entry: EventEntry): void {
    this.#options.log.append(this.owner, entry, this.#lastId).then(
      (isThere) => this.#sent(entry, isThere),
      () => this.#failed(entry),
    );
  }

  #sent(entry: EventEntry, isThere: boolean): void {
    if (this.#state === "closed") return;
    if (!isThere) return this.giveUp();
    this.#failingSince = undefined;
    this.#onItsWay = undefined;
    this.#lastId = entry.id;
    if (entry.end === undefined) return this.flush();
    this.#state = "closed";
    this.#options.onClosed();
  }

  #failed(entry: EventEntry): void {
    if (this.#state === "closed") return;
    this.#failingSince ??= Date.now();
    const patienceMs = this.#options.patienceMs ?? usualPatienceMs;
    if (Date.now() - this.#failingSince > patienceMs) this.giveUp();
    else this.#retry = setTimeout(() => this.#send(entry), retryMs);
  }
}
