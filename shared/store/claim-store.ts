import { GatewayError } from "#shared/messages/error.ts";
import { readJoinableCall, writeJoinableCall, type JoinableCall } from "./call-registry.ts";
import type { RedisConnection } from "./connect-redis.ts";
import { loadScript } from "#shared/runtime/load-script.ts";
import { createStoreKeys } from "./store-keys.ts";
import { within } from "#shared/runtime/within.ts";

const workKinds = ["whole", "stream", "job", "batch"] as const;

/** What an idempotency key was used for. */
export interface ClaimedWork {
  readonly kind: (typeof workKinds)[number];
  /** Tells requests apart: the same for the same request only. One word. */
  readonly print: string;
  /** The call; for a batch only its id means anything. */
  readonly call: JoinableCall;
}

export interface Claim {
  /** How long what came of the work is to be kept. */
  readonly keepMs: number;
  /** Nothing came of the work: the key may be used again when this resolves. Never rejects, takes at most a second. */
  release(): Promise<void>;
}

export type Claiming =
  | { readonly state: "ours"; readonly claim: Claim }
  /** The same request was made before. `retake`: nothing came of it, so the key is to be ours. */
  | { readonly state: "theirs"; readonly work: ClaimedWork; retake(): Promise<Claiming> };

/** Who used an idempotency key. */
interface ClaimHolder {
  readonly keyId: string;
  readonly idempotencyKey: string;
}

/** Idempotency keys, each with the work it was first used for, for 24 hours and for the key that used it. */
export interface ClaimStore {
  /** Throws `unprocessable` when the key was used for another request, `overloaded` while Redis is away. */
  claim(holder: ClaimHolder, work: ClaimedWork): Promise<Claiming>;
}

const keepMs = 86_400_000;
const releaseWithinMs = 1000;

export function createClaimStore(options: { readonly redis: RedisConnection; readonly prefix: string }): ClaimStore {
  const { client } = options.redis;
  const keys = createStoreKeys(options.prefix);
  const claimWork = loadScript(client, new URL("claim-work.lua", import.meta.url));
  const releaseWork = loadScript(client, new URL("release-work.lua", import.meta.url));

  async function take(key: string, work: ClaimedWork, instead: string): Promise<Claiming> {
    const line = writeWork(work);
    const reply = await claimWork([key], [line, keepMs, instead]).catch((cause: unknown) => {
      throw new GatewayError("overloaded", "Idempotency keys cannot be looked up now.", { retryAfterS: 1, cause });
    });
    if (!Buffer.isBuffer(reply)) {
      const release = async (): Promise<void> => void (await within(releaseWithinMs, releaseWork([key], [line])));
      return { state: "ours", claim: { keepMs, release } };
    }
    const known = reply.toString();
    const theirs = readWork(known);
    if (theirs.print !== work.print)
      throw new GatewayError("unprocessable", "idempotency-key: the key was used for another request.");
    return { state: "theirs", work: theirs, retake: () => take(key, work, known) };
  }
  return {
    claim: ({ keyId, idempotencyKey }, work) => take(keys.claim(keyId, idempotencyKey), work, ""),
  };
}

function writeWork({ kind, print, call }: ClaimedWork): string {
  return `${kind} ${print} ${writeJoinableCall(call)}`;
}

function readWork(line: string): ClaimedWork {
  const [kind = "", print = ""] = line.split(" ", 2);
  const call = readJoinableCall(line.slice(kind.length + print.length + 2));
  return { kind: workKinds.find((known) => known === kind) ?? "whole", print, call };
}
