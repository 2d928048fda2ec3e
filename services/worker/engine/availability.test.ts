import { describe, expect, test } from "vitest";
import type { TargetState } from "#shared/store/target-board.ts";
import { availabilityOf } from "./availability.ts";

const now = 1_000_000;
const well: TargetState = {
  blockedUntil: 0,
  blockedCause: undefined,
  outUntil: 0,
  outCause: undefined,
  breakerUntil: 0,
  breakerCause: undefined,
  breakerOpenings: 0,
  probing: false,
};
const look = (state: Partial<TargetState>, triedResetAt = 0): unknown =>
  availabilityOf({ ...well, ...state }, now, triedResetAt);

describe("whether a target may be asked", () => {
  test("one of which nothing is known is free", () => expect(look({})).toEqual({ kind: "free" }));
  test("one that said until when is blocked until then", () =>
    expect(look({ blockedUntil: now + 5 })).toEqual({ kind: "blocked", until: now + 5 }));
  test("one with an open breaker is broken until it is half open", () =>
    expect(look({ breakerUntil: now + 5, breakerOpenings: 1 })).toEqual({ kind: "broken", until: now + 5 }));
  test("what is left out says why", () => {
    const [limited, refused, down] = (["rate_limited", "credential_refused", "connect_failed"] as const).map(
      (reason) => ({ reason }),
    );
    const causes = { blockedCause: limited, outCause: refused, breakerCause: down };
    expect(look({ ...causes, blockedUntil: now + 5 })).toMatchObject({ kind: "blocked", cause: limited });
    expect(look({ ...causes, blockedUntil: now + 5, breakerUntil: now + 5 })).toMatchObject({ cause: down });
    expect(look({ ...causes, outUntil: now + 5, breakerUntil: now + 5 })).toMatchObject({ cause: refused });
  });
  test("a refused account goes before everything", () =>
    expect(look({ outUntil: now + 9, blockedUntil: now + 5, breakerUntil: now + 5, breakerOpenings: 2 })).toEqual({
      kind: "out",
      until: now + 9,
    }));
  test("a half-open breaker wants one call to try", () =>
    expect(look({ breakerUntil: now - 1, breakerOpenings: 2 })).toMatchObject({
      kind: "on_trial",
      probe: "half_open",
    }));
  test("a limit that has reset wants one call to try", () =>
    expect(look({ blockedUntil: now - 1 })).toEqual({ kind: "on_trial", probe: "reset", resetAt: now - 1 }));
  test("a reset that was tried is free", () =>
    expect(look({ blockedUntil: now - 1 }, now - 1)).toEqual({ kind: "free" }));
  test("marks that have passed are nothing", () =>
    expect(look({ outUntil: now - 1, breakerUntil: now - 1 })).toEqual({ kind: "free" }));
});
