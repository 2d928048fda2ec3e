import { createHash, type Hash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { readBatchItem, readItemFacts } from "#shared/messages/batch-item.ts";
import { BatchSplitter } from "#shared/messages/batch-splitter.ts";
import { GatewayError } from "#shared/messages/error.ts";
import { estimateCost } from "#shared/routing/estimate-cost.ts";
import { collectGarbage } from "#shared/runtime/collect-garbage.ts";
import type { NewBatch, NewItem, OpenIntake, SpoiltItem } from "#shared/store/batch-intake.ts";
import { admitByLimits } from "../call/accept-call.ts";
import { printOf } from "../call/ask-print.ts";
import { newCallId } from "../call/call-id.ts";
import { pickForwardedHeaders } from "../call/call-head.ts";
import { takeLease } from "../call/call-lease.ts";
import { checkModels } from "../call/check-models.ts";
import type { ModelRules } from "../call/model-rules.ts";
import { readIdempotencyKey } from "../call/idempotency-key.ts";
import { checkBudget } from "../call/reserve-budget.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import type { BodyBudget } from "../plugins/body-budget.ts";
import { streamPayload } from "../plugins/stream-payload.ts";
import type { Caller } from "../plugins/keyring.ts";
import { commitOnce } from "./commit-once.ts";

export interface ReceiveDeps extends GatewayDeps {
  readonly budget: BodyBudget;
}

/** What a body leaves behind as garbage is several times its size; this many bytes of it keep the gateway small. */
const collectEveryBytes = 33_554_432;

/** A batch outlives its results by this, so that its owner can still see that there was one. */
const shownAfterMs = 30 * 86_400_000;

/**
 * Takes in the body of a batch as it comes, item by item, and makes the batch; resolves with its id, which under an
 * idempotency key may be that of an earlier one. Rejects with the error that is the answer; then nothing of it is left.
 */
export async function receiveBatch(
  request: FastifyRequest,
  reply: FastifyReply,
  deps: ReceiveDeps & { readonly claudeOnly: boolean },
): Promise<string> {
  const idempotencyKey = readIdempotencyKey(request.headers);
  const lease = takeLease(deps.guard, deps.budget);
  try {
    await admitByLimits(request, lease, { ...deps, holdMs: deps.server.bodyTimeoutMs });
    const { keyId, budget } = request.caller;
    if (budget) await checkBudget(keyId, budget, deps);
    const batch = newBatch(request, deps);
    const intake = await deps.intake.begin(batch);
    try {
      if (idempotencyKey === undefined) {
        await readItems(request, { reply, intake }, deps);
        await intake.commit();
        return batch.id;
      }
      const digest = createHash("sha256");
      await readItems(request, { reply, intake, digest }, deps);
      const print = printOf({ ...batch, operation: "batches" }, digest.digest("base64url"));
      return await commitOnce({ batch, intake, idempotencyKey, print }, deps);
    } catch (reason) {
      await intake.discard();
      throw reason;
    }
  } finally {
    lease.release();
  }
}

function newBatch(request: FastifyRequest, { batchRules }: ReceiveDeps): NewBatch {
  const createdAt = Date.now();
  const { accept: _, ...headers } = pickForwardedHeaders(request.headers);
  return {
    id: `msgbatch_${newCallId().slice("call_".length)}`,
    keyId: request.caller.keyId,
    headers: { ...headers, accept: "application/json", "content-type": "application/json" },
    createdAt,
    expiresAt: createdAt + batchRules.expireAfterMs,
    keepUntil: createdAt + batchRules.keepResultsMs,
    forgetAt: createdAt + batchRules.keepResultsMs + shownAfterMs,
    mostOpenItems: batchRules.maxOpenItems,
  };
}

interface Reading {
  readonly reply: FastifyReply;
  readonly intake: OpenIntake;
  /** Told of every byte. */
  readonly digest?: Hash;
}

async function readItems(
  request: FastifyRequest,
  { reply, intake, digest }: Reading,
  deps: ReceiveDeps & { readonly claudeOnly: boolean },
): Promise<void> {
  const { server, batchRules, budget } = deps;
  const judge = createJudge(request.caller, deps);
  let stored: Promise<unknown> | undefined;
  const splitter = new BatchSplitter({
    maxRequestBytes: server.maxBodyBytes,
    maxRequests: batchRules.maxRequests,
    onRequest: (bytes, index) => {
      const adding = intake.add(judge(bytes, index));
      if (adding) stored = stored ? Promise.all([stored, adding]) : adding;
    },
  });
  const held = holdBudget(budget);
  const collect = collectEvery(collectEveryBytes);
  try {
    await streamPayload(request.raw, reply.raw, {
      limits: { ...server, maxBodyBytes: batchRules.maxBodyBytes },
      consume: (chunk) => {
        digest?.update(chunk);
        collect.after(chunk.length);
        splitter.push(chunk);
        held.set(splitter.heldBytes);
        const wait = stored?.then(() => undefined);
        stored = undefined;
        return wait;
      },
    });
    splitter.end();
  } finally {
    held.set(0);
  }
}

type Judge = (bytes: Buffer, index: number) => NewItem | SpoiltItem;

/** Throws for what spoils the whole batch; an item that could never run is one that has ended. */
function createJudge(caller: Caller, deps: ReceiveDeps & { readonly claudeOnly: boolean }): Judge {
  const { catalogue, claudeOnly, prices } = deps;
  const rules: ModelRules = { catalogue, caller, claudeOnly, guesses: new Map() };
  const at = Date.now();
  const indexes = new Map<string, number>();
  return (bytes, index) => {
    const item = readBatchItem(bytes, index);
    const { customId, params } = item;
    const earlier = indexes.get(customId);
    if (earlier !== undefined)
      throw new GatewayError(
        "invalid_request",
        `requests.${index}.custom_id: "${customId}" is that of requests.${earlier} already; it must be unique`,
      );
    indexes.set(customId, index);
    try {
      const facts = readItemFacts(item);
      const model = checkModels(facts, rules);
      const models = [model.name, ...facts.otherModels];
      const estimate = caller.budget && estimateCost({ bytes: params, facts, models, at }, prices);
      const head = {
        model: model.name,
        askedModel: facts.model,
        splices: facts.splices,
        wishes: facts.wishes,
        ...(facts.affinityHash === undefined ? undefined : { affinity: facts.affinityHash }),
        ...(facts.container === undefined ? undefined : { container: facts.container }),
        ...(estimate === undefined ? undefined : { estimate }),
      };
      return { entry: { customId, head }, params };
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      return { entry: { customId }, error, requestId: newCallId() };
    }
  };
}

/** A share of the bytes that all bodies may hold; throws `overloaded` when it cannot grow. */
function holdBudget(budget: BodyBudget): { set(bytes: number): void } {
  let taken = 0;
  return {
    set(bytes) {
      if (bytes > taken && !budget.take(bytes - taken))
        throw new GatewayError("overloaded", "The gateway holds too many request bytes.", { retryAfterS: 1 });
      if (bytes < taken) budget.give(taken - bytes);
      taken = bytes;
    },
  };
}

/** Collects garbage after every so many bytes. */
function collectEvery(everyBytes: number): { after(bytes: number): void } {
  let left = everyBytes;
  return {
    after(bytes) {
      left -= bytes;
      if (left > 0) return;
      left = everyBytes;
      collectGarbage();
    },
  };
}
