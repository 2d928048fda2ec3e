import { expect, test } from "vitest";
import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError, type ErrorCode, type ErrorOptions } from "#shared/messages/error.ts";
import type { Attempt, AttemptReason, Outcome } from "#shared/messages/outcome.ts";
import type { CallJob } from "#shared/queue/job.ts";
import { jobOf } from "../../../test/support/dispatcher-bench.ts";
import { carryRerun, retryHeldAt, retryItemAt, shortened, withoutEcho } from "./retry-item.ts";

const now = Date.now();
const job: CallJob = { ...jobOf({ waitMs: 3_600_000 }), record: { kind: "item", batchId: "b", index: 0 } };
const attempt = (reason: AttemptReason): Attempt => ({ provider: "p", model: "m", startedAt: 1, endedAt: 2, reason });
const failed = (code: ErrorCode, reason: AttemptReason, options: ErrorOptions = {}): Outcome =>
  errorOutcome(new GatewayError(code, "x", options), "call_1", { attempts: [attempt(reason)] });
const upstream = (status: number, reason: AttemptReason): Outcome => ({
  ...failed("internal", reason),
  code: "upstream",
  status,
});

const twice = (outcome: Outcome): Outcome => ({
  ...outcome,
  attempts: [...outcome.attempts, { ...attempt("reset"), rerun: true }],
});

test.each([
  ["overloaded", failed("overloaded", "overloaded")],
  ["limited", failed("rate_limited", "rate_limited")],
  ["a server error", upstream(500, "server_error")],
  ["the account's refusal", failed("upstream_refused", "credential_refused", { shouldRetry: false })],
])("an item that ended as %s is tried again later", (_, outcome) => {
  expect(retryItemAt(job, outcome, now)).toBeGreaterThanOrEqual(now + 500);
});

test.each([
  ["the caller's own error", upstream(400, "invalid_request")],
  ["silence", twice(failed("overloaded", "reset"))],
  ["a lost process", failed("internal", "worker_lost", { shouldRetry: false })],
  ["an error of ours", failed("internal", "ok")],
])("%s is the item's end", (_, outcome) => {
  expect(retryItemAt(job, outcome, now)).toBeUndefined();
});

test("refused accounts are an item's end when nobody has set them right for an hour", () => {
  const refused = failed("upstream_refused", "account_exhausted", { shouldRetry: false });
  expect(retryItemAt({ ...job, enqueuedAt: now - 3_500_000 }, refused, now)).toBeDefined();
  expect(retryItemAt({ ...job, enqueuedAt: now - 3_700_000 }, refused, now)).toBeUndefined();
});

test("what a lost process had sent is tried once more when capacity was missing, and then not again", () => {
  const limited = (...attempts: Attempt[]): Outcome =>
    errorOutcome(new GatewayError("rate_limited", "x"), "call_1", { attempts });
  const lost = attempt("worker_lost");
  expect(retryItemAt(job, limited(attempt("overloaded"), lost), now)).toBeDefined();
  expect(retryItemAt(job, limited(lost, lost), now)).toBeUndefined();
  expect(retryItemAt(job, limited(lost, { ...attempt("reset"), rerun: true }), now)).toBeUndefined();
  expect(retryItemAt(job, limited(lost, { ...attempt("rate_limited"), rerun: true }), now)).toBeDefined();
});

test("an attempt that was lost stands in the trace once, however often its worker is told of it", () => {
  const lost = attempt("worker_lost");
  const outcome = failed("rate_limited", "worker_lost");
  const trail = { attempts: [lost], waits: [], notes: [], until: now };
  expect(withoutEcho({ ...job, trail }, outcome).attempts).toEqual([]);
  expect(withoutEcho(job, outcome).attempts).toEqual([lost]);
  const answered = { ...trail, attempts: [lost, attempt("rate_limited")] };
  expect(withoutEcho({ ...job, trail: answered }, outcome).attempts).toEqual([lost]);
});

test("a provider's wish to wait is heeded, and none beyond the batch's time", () => {
  expect(retryItemAt(job, failed("overloaded", "overloaded", { retryAfterS: 30 }), now)).toBeGreaterThanOrEqual(
    now + 30_000,
  );
  expect(retryItemAt(job, failed("overloaded", "overloaded", { retryAfterS: 7200 }), now)).toBeUndefined();
});

test("server errors end it after some tries, want of capacity does not", () => {
  const trail = {
    attempts: Array.from({ length: 10 }, () => attempt("server_error")),
    waits: [],
    notes: [],
    until: now,
  };
  const tried = { ...job, parked: 10, trail };
  expect(retryItemAt(tried, upstream(500, "server_error"), now)).toBeUndefined();
  expect(retryItemAt(tried, failed("overloaded", "overloaded"), now)).toBeDefined();
});

test("an attempt that was never answered is remembered for all deliveries to come", () => {
  const trail = {
    attempts: [attempt("reset"), ...Array.from({ length: 50 }, () => attempt("rate_limited"))],
    waits: [],
    notes: [],
    until: now,
  };
  const kept = shortened(trail);
  expect(kept.attempts).toHaveLength(21);
  expect(carryRerun({ ...job, trail: kept })).toMatchObject({ rerunUsed: true });
  expect(carryRerun(job)).not.toHaveProperty("rerunUsed");
});

test("an item whose money others hold is tried again soon at first, and every few seconds when it takes long", () => {
  expect(retryHeldAt(job, now) - now).toBeGreaterThanOrEqual(125);
  expect(retryHeldAt(job, now) - now).toBeLessThan(500);
  expect(retryHeldAt({ ...job, parked: 1000 }, now) - now).toBeLessThanOrEqual(10_125);
});
