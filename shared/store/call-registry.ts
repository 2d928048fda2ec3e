import type { Outcome } from "#shared/messages/outcome.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript, type ScriptArgument } from "#shared/runtime/load-script.ts";
import { decodeOutcome, encodeGone, encodeWanted } from "./outcome-codec.ts";
import { createSealer } from "./sealer.ts";
import { createStoreKeys } from "./store-keys.ts";
import { createTurnBatch } from "#shared/runtime/turn-batch.ts";

/** A whole answer that others may join. */
export interface JoinableCall {
  readonly id: string;
  readonly lane: string;
  /** Milliseconds since the epoch: its first caller's. */
  readonly deadlineAt: number;
  /** Reply channel of the gateway that began it; "" for none. */
  readonly channel: string;
}

/** One who waits for a call's outcome. */
interface Waiting {
  /** Where the outcome is to be told. */
  readonly channel: string;
  /** Unique among the call's callers; the first one's is the call's own id. */
  readonly id: string;
  /** Milliseconds since the epoch: nobody waits longer, and the call is given at least this long. */
  readonly deadlineAt: number;
}

export type JoinResult =
  | { readonly state: "waiting" | "cancelled" }
  /** Undefined when the outcome was acknowledged and is no longer stored. */
  | { readonly state: "answered"; readonly outcome: Outcome | undefined };

/**
 * Calls under way, by what they ask, and who waits for them. A caller is held by a lease that ends with its deadline, and
 * leaves by a script, so that nobody can join a call that is just being cancelled. All but `register` reject while Redis
 * is away.
 */
export interface CallRegistry {
  /**
   * Makes the call findable by what it asks. Sent with others of the same event-loop turn; never fails. Calls `written`
   * in a later turn, once it has left this process or cannot.
   */
  register(ask: string, call: JoinableCall, written?: () => void): void;
  find(ask: string): Promise<JoinableCall | undefined>;
  /** Adds a caller unless the call is over; its outcome then comes to the caller's channel. */
  join(call: JoinableCall, caller: Waiting): Promise<JoinResult>;
  /** The caller waits no more; the call goes on until `until` at least. */
  leave(callId: string, caller: Pick<Waiting, "channel" | "id">, until: number): Promise<void>;
  /** As `leave`, and cancels the call when nobody is left. `until`: how long the mark has to last. */
  abandon(callId: string, caller: Pick<Waiting, "channel" | "id">, until: number): Promise<"cancelled" | "joined">;
  /** The deadline that those who joined or left have given the call. */
  laterDeadline(callId: string): Promise<number | undefined>;
  /** Whether a process listens on the channel. */
  isListening(channel: string): Promise<boolean>;
  /**
   * Asks the gateway that began the call for its outcome, or for word that there is none, to be told at this channel.
   * False when that gateway is gone.
   */
  want(call: JoinableCall, channel: string): Promise<boolean>;
  /** Tells one who wants it that the call has no outcome. Never fails. */
  tellGone(callId: string, channel: string): void;
}

/** Past a call's deadline: for its last callers to leave, and for a success to be found by a retry. */
const marginMs = 90_000;
const shortestMarkMs = 60_000;
const mostPerScript = 64;

export function createCallRegistry(options: {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly encryptionKey?: string;
}): CallRegistry {
  const { redis } = options;
  const { client } = redis;
  const keys = createStoreKeys(options.prefix);
  const sealer = options.encryptionKey ? createSealer(options.encryptionKey) : undefined;
  const registerCalls = loadScript(client, new URL("register-calls.lua", import.meta.url));
  const joinCall = loadScript(client, new URL("join-call.lua", import.meta.url));
  const leaveCall = loadScript(client, new URL("leave-call.lua", import.meta.url));
  const abandonCall = loadScript(client, new URL("abandon-call.lua", import.meta.url));
  const registering = createTurnBatch<Registration>((batch) => {
    if (redis.isReady) {
      const names = batch.map(({ ask }) => keys.ask(ask));
      registerCalls(names, batch.flatMap(entryOf)).catch(() => undefined);
    }
    // Behind the connection's own immediate, which writes what it was given in this turn.
    for (const { written } of batch) if (written) setImmediate(written);
  }, mostPerScript);

  return {
    register: (ask, call, written) => registering.add({ ask, call, written }),
    async find(ask) {
      const entry = await client.get(keys.ask(ask));
      return entry === null ? undefined : readJoinableCall(entry);
    },
    async join(call, caller) {
      const first = call.channel === "" ? "" : memberOf(call);
      const reply = await joinCall(
        [
          keys.outcome(call.id),
          keys.cancelMark(call.id),
          keys.callers(call.id),
          keys.until(call.id),
          keys.body(call.id),
        ],
        [first, leaseEnd(call), memberOf(caller), leaseEnd(caller), caller.deadlineAt, ttlUntil(caller.deadlineAt)],
      );
      if (Buffer.isBuffer(reply))
        return { state: "answered", outcome: reply.length > 0 ? decodeOutcome(reply, sealer) : undefined };
      return { state: reply === 1 ? "waiting" : "cancelled" };
    },
    async leave(callId, caller, until) {
      await leaveCall([keys.callers(callId), keys.until(callId)], [memberOf(caller), until, ttlUntil(until)]);
    },
    async abandon(callId, caller, until) {
      const markMs = Math.max(shortestMarkMs, Math.ceil(until - Date.now()));
      const names = [keys.callers(callId), keys.cancelMark(callId)];
      const reply = await abandonCall(names, [memberOf(caller), markMs, keys.cancelChannel, callId]);
      return reply === 1 ? "cancelled" : "joined";
    },
    async laterDeadline(callId) {
      const until = Number((await client.get(keys.until(callId))) ?? 0);
      return until > 0 ? until : undefined;
    },
    async isListening(channel) {
      const [, count] = (await client.pubsub("NUMSUB", channel)) as [unknown, unknown];
      return Number(count) > 0;
    },
    want: async (call, channel) => (await client.publish(call.channel, encodeWanted(call.id, channel))) > 0,
    tellGone: (callId, channel) => void client.publish(channel, encodeGone(callId)).catch(() => undefined),
  };
}

interface Registration {
  readonly ask: string;
  readonly call: JoinableCall;
  readonly written: (() => void) | undefined;
}

function entryOf({ call }: Registration): ScriptArgument[] {
  return [ttlUntil(call.deadlineAt), writeJoinableCall(call)];
}

function ttlUntil(at: number): number {
  return Math.max(1, Math.ceil(at - Date.now())) + marginMs;
}

function leaseEnd({ deadlineAt }: Pick<Waiting, "deadlineAt">): number {
  return Math.ceil(deadlineAt) + marginMs;
}

function memberOf({ channel, id }: Pick<Waiting, "channel" | "id">): string {
  return `${channel} ${id}`;
}

/** A call as one word-separated line; none of its parts has a space. */
export function writeJoinableCall({ id, lane, deadlineAt, channel }: JoinableCall): string {
  return `${id} ${lane} ${deadlineAt} ${channel}`;
}

export function readJoinableCall(line: string): JoinableCall {
  const [id = "", lane = "", deadlineAt, channel = ""] = line.split(" ");
  return { id, lane, deadlineAt: Number(deadlineAt), channel };
}
