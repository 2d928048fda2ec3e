import { randomUUID } from "node:crypto";
import { loadScript } from "#shared/runtime/load-script.ts";
import type { QueueConnection } from "./queue-connection.ts";
import type { CallMarks, JobTaker, TakenJob } from "./taken-job.ts";

/** Messages of a Redis channel, and whether they can be relied on. */
export interface ChannelSource {
  subscribe(
    channel: string,
    handlers: { message(bytes: Buffer): void; confirmed(): void; interrupted(): void },
  ): {
    readonly isConfirmed: boolean;
    /** Resolves, some seconds later at most, when no message will come any more. */
    close(): Promise<void>;
  };
}

export interface HandoverOptions {
  readonly connection: QueueConnection;
  readonly source: ChannelSource;
  /** The lane's keys: where offers lie, and the start of the channel's name. */
  readonly offersKey: string;
  readonly channelPrefix: string;
  readonly lockMs: number;
  readonly marks: CallMarks;
}

/** What `exchange-jobs.lua` is to write if nothing waits, less one for each job it takes: one is handed over for each. */
interface Offers {
  readonly lines: readonly string[];
  /** To be called at the end with how many of them, from the first on, may have been written. */
  written(count: number): void;
}

/**
 * Jobs that are handed to this process in the script that adds them, while nothing waits before them: one way to Redis
 * and back less for each, a fifth of what a call on an idle gateway waits. What waits is still found by signs.
 */
export interface Handover {
  /** Whoever gets the jobs. Without one, nothing is offered. */
  serve(taker: JobTaker): void;
  /** For a take that may fill, or frees, so many slots. */
  offers(slots: number): Offers;
  /** Takes back, as far as they are not used yet, offers that there are no more free slots for. */
  retract(): void;
  /** For good. Resolves when nothing will be handed over any more, whatever offers still lie there. */
  withdraw(): Promise<void>;
}

/** Of the key in a lane where offers lie, by when each was made or renewed (Redis' clock). */
export const offersName = "offered";
/** More calls at a time are found together, by signs. */
const mostOffers = 8;
/** Who has not renewed an offer for so long stands still, or is gone, and is handed nothing. */
export const offerTtlMs = 4500;
/** One small script for each lane; the second may be late. */
const renewEveryMs = 2000;
/** Clocks that differ by more say nothing about what is fresh. */
const mostAheadMs = 500;

export function createHandover(options: HandoverOptions): Handover {
  const { connection, offersKey, lockMs, marks } = options;
  const id = randomUUID();
  const channel = options.channelPrefix + id;
  let taker: JobTaker | undefined;
  let withdrawing: Promise<void> | undefined;
  let count = 0;
  /** Offers that nobody has used, as far as we know, by token. Under way: the exchange that makes them has not ended. */
  const open = new Map<string, "under way" | "made">();
  const renewOffers = loadScript(connection.client, new URL("renew-offers.lua", import.meta.url));
  let isRenewing = false;

  const offerOf = (token: string): string => [channel, token, lockMs, marks.answered, marks.cancelled].join(" ");
  const subscription = options.source.subscribe(channel, {
    message(bytes) {
      for (const job of readHanded(bytes)) {
        open.delete(job.token);
        taker?.take(job);
      }
    },
    // What was offered before may have been used up by adds that found nobody listening.
    confirmed() {
      remove([...open.keys()]);
      taker?.look();
    },
    interrupted: () => undefined,
  });
  function remove(tokens: readonly string[]): void {
    for (const token of tokens) open.delete(token);
    if (tokens.length === 0 || !connection.isReady) return;
    connection.client.zrem(offersKey, ...tokens.map(offerOf)).catch(() => undefined);
  }
  async function renew(): Promise<void> {
    const made = [...open].filter(([, state]) => state === "made").map(([token]) => token);
    if (made.length === 0 || isRenewing || !connection.isReady || !subscription.isConfirmed) return;
    isRenewing = true;
    const standing = (await renewOffers([offersKey], [offerTtlMs, ...made.map(offerOf)]).catch(() => [])) as number[];
    isRenewing = false;
    const gone = made.filter((token, at) => standing[at] === 0 && open.delete(token));
    if (gone.length > 0) taker?.look();
  }
  const renewing = setInterval(() => void renew(), renewEveryMs).unref();
  // Who does not listen is handed nothing: that holds for offers too that we do not know of, or are written later.
  async function withdraw(): Promise<void> {
    clearInterval(renewing);
    remove([...open.keys()]);
    await subscription.close();
  }
  return {
    serve: (to) => void (taker = to),
    offers(slots) {
      if (!taker || withdrawing || !subscription.isConfirmed) return noOffers;
      const missing = Math.min(mostOffers, taker.room(slots)) - open.size;
      if (missing <= 0) return noOffers;
      const made = Array.from({ length: missing }, () => `${id}:h${(count += 1)}`);
      for (const token of made) open.set(token, "under way");
      return {
        lines: made.map(offerOf),
        written(written) {
          made.forEach((token, at) => {
            if (at < written && open.has(token)) open.set(token, "made");
            else open.delete(token);
          });
        },
      };
    },
    retract() {
      if (open.size > 0 && taker) remove([...open.keys()].slice(Math.max(0, taker.free())));
    },
    withdraw: () => (withdrawing ??= withdraw()),
  };
}

const noOffers: Offers = { lines: [], written: () => undefined };

/** For each job a line with its id, token, two flags, Redis' time and the payload's length, then the payload. */
function* readHanded(bytes: Buffer): Generator<TakenJob, void> {
  let at = 0;
  while (at < bytes.length) {
    const border = bytes.indexOf("\n", at);
    const [id = "", token = "", answered, cancelled, time, length] = bytes.toString("latin1", at, border).split(" ");
    at = border + 1 + Number(length);
    // A time ahead of ours says nothing of how old the news is.
    const known = Number(time) > Date.now() + mostAheadMs ? 0 : Number(time);
    const call = { answered: answered === "1", cancelled: cancelled === "1", at: known };
    yield { id, token, data: bytes.toString("utf8", border + 1, at), started: 1, stalled: 0, call };
  }
}
