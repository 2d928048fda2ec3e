import type { CallHead } from "#shared/messages/call.ts";
import type { CostEstimate } from "#shared/messages/cost.ts";
import type { CallFacts } from "#shared/messages/outcome.ts";

export const lanes = ["interactive", "count", "background"] as const;
/** A queue with its own concurrency. */
export type Lane = (typeof lanes)[number];

/** What happened to a call before its job was put aside; its outcome goes on from there. */
export interface CallTrail extends Pick<CallFacts, "attempts" | "waits" | "notes"> {
  /** Milliseconds since the epoch: when it was put aside. */
  readonly until: number;
}

/**
 * What a call's outcome is for when no gateway waits for it: an asynchronous job, an item of a batch, or a part of one that a
 * provider runs itself.
 */
export type JobRecord =
  | { readonly kind: "job" }
  | { readonly kind: "item"; readonly batchId: string; readonly index: number }
  | { readonly kind: "run"; readonly batchId: string };

/** A call lying in a lane. A wire format: dispatchers of another version read it too. */
export interface CallJob {
  readonly version: 1;
  readonly head: CallHead;
  /** The body as UTF-8, up to 16 KiB; else `bodyKey` says where it lies. Exactly one of the two is there. */
  readonly body?: string;
  readonly bodyKey?: string;
  /** Channel of the gateway that waits; "" for none. */
  readonly replyTo: string;
  /** Milliseconds since the epoch. */
  readonly enqueuedAt: number;
  /** The call may have been opened before, though the queue knows nothing of it. */
  readonly reopened?: true;
  /** How often the job was put aside to wait for capacity. */
  readonly parked?: number;
  readonly trail?: CallTrail;
  /** Absent: the outcome is answered over the reply bus. */
  readonly record?: JobRecord;
  /** How long the outcome has to be kept, in ms, beyond the few minutes of an ordinary call. */
  readonly keepMs?: number;
  /** What a job holds of its key's budget; settled by whoever records its outcome. */
  readonly hold?: JobHold;
  /** What an item of a batch may cost, if its key had a budget when the batch was made. */
  readonly estimate?: CostEstimate;
}

/** As the budget store knows it. */
interface JobHold extends CostEstimate {
  readonly callId: string;
  readonly keyId: string;
  readonly period: string;
}

export function encodeJob(job: CallJob): string {
  return JSON.stringify(job);
}

/**
 * Checks what came out of a lane. The gateway that wrote it has checked the call itself, so this looks at what a
 * dispatcher would trip over. Throws an Error that names the member, and no value.
 */
export function decodeJob(payload: unknown): CallJob {
  if (!isRecord(payload)) throw new Error("job is not an object");
  expect(payload["version"] === 1, "version");
  expect(isHead(payload["head"]), "head");
  const { body, bodyKey } = payload;
  expect((body === undefined) !== (bodyKey === undefined), "body");
  expect(body === undefined || typeof body === "string", "body");
  expect(bodyKey === undefined || typeof bodyKey === "string", "bodyKey");
  expect(typeof payload["replyTo"] === "string", "replyTo");
  expect(Number.isFinite(payload["enqueuedAt"]), "enqueuedAt");
  expect(payload["reopened"] === undefined || payload["reopened"] === true, "reopened");
  expect(payload["parked"] === undefined || Number.isInteger(payload["parked"]), "parked");
  expect(payload["trail"] === undefined || isTrail(payload["trail"]), "trail");
  expect(payload["record"] === undefined || isJobRecord(payload["record"]), "record");
  expect(payload["keepMs"] === undefined || Number.isFinite(payload["keepMs"]), "keepMs");
  expect(payload["hold"] === undefined || isHold(payload["hold"]), "hold");
  expect(payload["estimate"] === undefined || isEstimate(payload["estimate"]), "estimate");
  return payload as unknown as CallJob;
}

/**
 * A job to settle in place of one that cannot be read: whatever names the call and who waits for it, and nothing to
 * run.
 */
export function salvageJob(callId: string, payload: unknown): CallJob {
  const fields = isRecord(payload) ? payload : {};
  const head = isRecord(fields["head"]) ? fields["head"] : {};
  const at = Date.now();
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  return {
    version: 1,
    head: {
      id: callId,
      operation: head["operation"] === "count_tokens" ? "count_tokens" : "messages",
      stream: false,
      keyId: text(head["keyId"]),
      model: text(head["model"]),
      askedModel: text(head["askedModel"]),
      headers: { "anthropic-version": "2023-06-01" },
      splices: { model: { start: 0, end: 0 } },
      wishes: {},
      acceptedAt: at,
      deadlineAt: at,
      waitUntil: at,
    },
    replyTo: text(fields["replyTo"]),
    enqueuedAt: at,
    ...(isJobRecord(fields["record"]) ? { record: fields["record"] } : {}),
    ...(isHold(fields["hold"]) ? { hold: fields["hold"] } : {}),
    ...(Number.isFinite(fields["keepMs"]) ? { keepMs: Number(fields["keepMs"]) } : {}),
  };
}

const headTexts = ["id", "keyId", "model", "askedModel"];
const trailLists = ["attempts", "waits", "notes"];
const headTimes = ["acceptedAt", "deadlineAt", "waitUntil"];

function isHead(head: unknown): boolean {
  return (
    isRecord(head) &&
    headTexts.every((name) => typeof head[name] === "string" && head[name] !== "") &&
    headTimes.every((name) => Number.isFinite(head[name])) &&
    (head["operation"] === "messages" || head["operation"] === "count_tokens") &&
    isRecord(head["headers"]) &&
    isRecord(head["splices"]) &&
    isRecord(head["wishes"])
  );
}

function isJobRecord(record: unknown): record is JobRecord {
  if (!isRecord(record)) return false;
  if (record["kind"] === "job") return true;
  if (typeof record["batchId"] !== "string") return false;
  return record["kind"] === "run" || (record["kind"] === "item" && Number.isInteger(record["index"]));
}

function isHold(hold: unknown): hold is JobHold {
  return (
    isRecord(hold) && ["callId", "keyId", "period"].every((name) => typeof hold[name] === "string") && isEstimate(hold)
  );
}

function isEstimate(value: unknown): boolean {
  return isRecord(value) && Number.isFinite(value["amount"]) && Number.isFinite(value["promptAmount"]);
}

function isTrail(trail: unknown): boolean {
  return isRecord(trail) && Number.isFinite(trail["until"]) && trailLists.every((name) => Array.isArray(trail[name]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function expect(holds: boolean, member: string): void {
  if (!holds) throw new Error(`job is malformed at ${member}`);
}
