import { describe, expect, test } from "vitest";
import { attemptReasons, type AttemptReason } from "#shared/messages/outcome.ts";
import { decideNext, healthMark, type EngineRules, type NextMove, type Situation } from "./decide-next.ts";

const rules: EngineRules = { rerunSent: true, sameTargetRetries: 1 };
const fresh = {
  sent: true,
  begun: false,
  retriesHere: 0,
  rerunUsed: false,
  betasToDrop: false,
  credentialRenewed: false,
};

function decide(reason: AttemptReason, more: Partial<Situation> = {}, given: Partial<EngineRules> = {}): NextMove {
  return decideNext({ ...fresh, reason, ...more }, { ...rules, ...given });
}

describe("the first time", () => {
  const rows: readonly (readonly [string, AttemptReason, NextMove])[] = [
    ["an answer is delivered", "ok", "deliver"],
    ["a rate limit goes to the next target", "rate_limited", "next"],
    ["an overloaded target is tried again", "overloaded", "retry_same"],
    ["a server's error is tried again", "server_error", "retry_same"],
    ["a failed connection goes to the next target", "connect_failed", "next"],
    ["a reset is run once more", "reset", "rerun"],
    ["a missing status is waited for once more", "no_status", "rerun"],
    ["a stream that falls silent before content is run once more", "idle", "rerun"],
    ["a stream that is cut before content is run once more", "stream_cut", "rerun"],
    ["an error event before content is tried again", "stream_error", "retry_same"],
    ["a refused credential goes to the next target", "credential_refused", "next"],
    ["a credential that is not to be had goes to the next target", "no_credential", "next"],
    ["an exhausted account goes to the next target", "account_exhausted", "next"],
    ["an unknown model goes to the next target", "not_found", "next"],
    ["a forbidden model goes to the next target", "forbidden", "next"],
    ["the caller's own mistake is delivered", "invalid_request", "deliver"],
    ["a lost thread is delivered", "thread_not_found", "deliver"],
    ["a lost worker's attempt is run once more", "worker_lost", "rerun"],
    ["a caller that has gone stops everything", "cancelled", "stop"],
    ["a passed deadline stops everything", "timed_out", "stop"],
  ];
  test.each(rows)("%s", (_, reason, move) => expect(decide(reason)).toBe(move));

  test("refused beta flags are dropped where the request has some, else the refusal is delivered", () => {
    expect(decide("beta_refused", { betasToDrop: true })).toBe("retry_without_betas");
    expect(decide("beta_refused")).toBe("deliver");
  });
});

test("a refused credential is tried again where there is another one", () => {
  expect(decide("credential_refused", { credentialRenewed: true })).toBe("retry_renewed");
  expect(decide("forbidden", { credentialRenewed: true })).toBe("next");
});

test("what a target's wire cannot say goes to the next target", () => {
  expect(decide("invalid_request", { sent: false })).toBe("next");
});

describe("after that", () => {
  test("a target that failed again is left for the next", () => {
    expect(decide("server_error", { retriesHere: 1 })).toBe("next");
    expect(decide("overloaded", { retriesHere: 1 })).toBe("next");
    expect(decide("server_error", {}, { sameTargetRetries: 0 })).toBe("next");
  });

  test.each(["reset", "no_status", "idle", "stream_cut"] as const)("a second %s is the end", (reason) => {
    expect(decide(reason, { rerunUsed: true })).toBe("stop");
  });

  test.each(["reset", "no_status", "idle", "stream_cut"] as const)("%s is the end where reruns are off", (reason) => {
    expect(decide(reason, {}, { rerunSent: false })).toBe("stop");
  });

  test("an answered failure after a rerun is tried again: it cannot be charged twice", () => {
    expect(decide("server_error", { rerunUsed: true })).toBe("retry_same");
    expect(decide("connect_failed", { rerunUsed: true })).toBe("next");
  });

  test.each(attemptReasons)("nothing follows %s once bytes of a stream went out", (reason) => {
    expect(decide(reason, { begun: true, betasToDrop: true, credentialRenewed: true })).toBe("deliver");
  });
});

describe("a target's health", () => {
  const rows: readonly (readonly [AttemptReason, number | undefined, ReturnType<typeof healthMark>])[] = [
    ["ok", 200, "success"],
    ["connect_failed", undefined, "connect_failure"],
    ["server_error", 500, "failure"],
    ["server_error", 502, "failure"],
    ["overloaded", 503, "failure"],
    ["overloaded", 529, "failure"],
    ["no_status", 504, "failure"],
    ["no_status", 408, "none"],
    ["server_error", 409, "none"],
    ["reset", undefined, "failure"],
    ["stream_cut", undefined, "failure"],
    ["rate_limited", 429, "none"],
    ["invalid_request", 400, "none"],
    ["account_exhausted", 402, "none"],
    ["cancelled", undefined, "none"],
    ["timed_out", undefined, "none"],
  ];
  test.each(rows)("%s with status %s counts as %s", (reason, status, mark) =>
    expect(healthMark(reason, status)).toBe(mark),
  );
});
