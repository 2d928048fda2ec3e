import { beforeEach, expect, test } from "vitest";
import { createPace, createPaces, firstLimit, peakWindowMs, type Pace } from "./pace.ts";

let now = 0;
let pace: Pace;

beforeEach(() => {
  now = 1_000_000;
  pace = createPace(1000);
});

/** So many calls begin now; what is given ends them, one each time. */
function begin(count: number, priority: "interactive" | "background" = "background") {
  const startedAt = now;
  for (let i = 0; i < count; i += 1) pace.begin(priority, now);
  return {
    end(reason: "ok" | "rate_limited" | "server_error", blockMs = 0) {
      pace.end(priority, { reason, startedAt, endedAt: now }, reason === "rate_limited" ? now + blockMs : 0);
    },
    endAll(reason: "ok" | "rate_limited" | "server_error") {
      for (let i = 0; i < count; i += 1) this.end(reason);
    },
  };
}

/** Background calls come until there is no more room, and all succeed together. */
function round(): number {
  const startedAt = now;
  let begun = 0;
  while (pace.hasRoom(now) && begun < 5000) {
    pace.begin("background", now);
    begun += 1;
  }
  now += 100;
  for (let i = 0; i < begun; i += 1) pace.end("background", { reason: "ok", startedAt, endedAt: now }, 0);
  return begun;
}

test("until the first refusal every success within a used limit makes room for one more", () => {
  begin(firstLimit - 1);
  expect(pace.hasRoom(now)).toBe(false);
  for (let i = 1; i <= 8; i += 1) {
    begin(1).end("ok");
    expect(pace.limit).toBe(Math.min(firstLimit + i, 2 * firstLimit - 1 + 1));
  }
  expect(pace.hasRoom(now)).toBe(true);
});

test("a 429 halves what was in use, and of several at a time only the first does", () => {
  for (let i = 0; i < 4; i += 1) round();
  const calls = begin(40);
  now += 10;
  calls.end("rate_limited");
  expect(pace.limit).toBe(20);
  calls.end("rate_limited");
  calls.end("rate_limited");
  expect(pace.limit).toBe(20);
});

test("after a refusal the limit rises by about one with each round, up to one below what was refused", () => {
  for (let i = 0; i < 5; i += 1) round();
  const refusedAt = 30;
  const calls = begin(refusedAt);
  now += 10;
  calls.end("rate_limited");
  for (let i = 1; i < refusedAt; i += 1) calls.end("server_error");
  expect(pace.limit).toBe(15);
  round();
  expect(pace.limit).toBeLessThanOrEqual(16);
  for (let i = 0; i < 40; i += 1) round();
  expect(pace.limit).toBe(refusedAt - 1);
});

test("what was refused is tried again after a minute, later if the refusal blocked for long", () => {
  for (const [blockMs, holdMs] of [
    [1_000, 60_000],
    [5_000, 250_000],
    [60_000, 600_000],
  ] as const) {
    pace = createPace(1000);
    for (let i = 0; i < 3; i += 1) round();
    const refusedAt = now;
    const calls = begin(12);
    now += 1;
    calls.end("rate_limited", blockMs);
    for (let i = 1; i < 12; i += 1) calls.end("server_error");
    while (now < refusedAt + holdMs - 1_000) round();
    expect(pace.limit).toBe(11);
    for (let i = 0; i < 40; i += 1) round();
    expect(pace.limit).toBeGreaterThan(11);
  }
});

test("refusals that come whatever the number set no ceiling, and the limit never falls below one", () => {
  for (let i = 0; i < 20; i += 1) {
    now += 10;
    const calls = begin(2);
    now += 10;
    calls.endAll("rate_limited");
  }
  expect(pace.limit).toBe(1);
  expect(pace.hasRoom(now)).toBe(true);
  for (let i = 0; i < 100; i += 1) round();
  expect(pace.limit).toBeGreaterThan(8);
});

test("a target that refuses a call that was alone refuses by chance: more are tried again at once", () => {
  for (let i = 0; i < 5; i += 1) begin(1).end("ok");
  now += 10;
  const alone = begin(1);
  now += 10;
  alone.end("rate_limited");
  for (let i = 0; i < 30; i += 1) round();
  expect(pace.limit).toBeGreaterThan(8);
  const more = begin(10);
  now += 10;
  more.endAll("rate_limited");
  for (let i = 0; i < 30; i += 1) round();
  expect(pace.limit).toBeGreaterThan(10);
});

test("background calls leave a tenth free, and as much as interactive calls had at a time lately", () => {
  for (let i = 0; i < 3; i += 1) round();
  const { limit } = pace;
  expect(round()).toBe(limit - Math.ceil(limit * 0.1));
  const before = pace.limit;
  begin(10, "interactive").endAll("ok");
  const after = pace.limit;
  expect(after).toBeGreaterThanOrEqual(before);
  expect(round()).toBe(after - Math.ceil(after * 0.1) - 10);
  now += 2 * peakWindowMs;
  const later = pace.limit;
  expect(round()).toBe(later - Math.ceil(later * 0.1));
});

test("where interactive calls use everything there is no room for background work", () => {
  begin(firstLimit, "interactive");
  expect(pace.hasRoom(now)).toBe(false);
});

test("interactive calls that succeed beyond the limit raise it", () => {
  const calls = begin(50, "interactive");
  now += 100;
  calls.endAll("ok");
  expect(pace.limit).toBeGreaterThan(30);
});

test("a limit that is not used does not rise", () => {
  for (let i = 0; i < 100; i += 1) begin(1).endAll("ok");
  expect(pace.limit).toBe(firstLimit);
});

test("a failure of another kind changes nothing", () => {
  begin(firstLimit).endAll("server_error");
  expect(pace.limit).toBe(firstLimit);
});

test("the limit is never above the provider's connections", () => {
  pace = createPace(12);
  for (let i = 0; i < 50; i += 1) round();
  expect(pace.limit).toBe(12);
  expect(createPace(2).limit).toBe(2);
});

test("two processes that share what a target takes come to about equal parts of it", () => {
  const most = 40;
  const [early, late] = [createPace(1000), createPace(1000)];
  // One of them has the target for itself at first.
  for (let i = 0; i < 10_000; i += 1) {
    const both = i < 2_000 ? [early] : [early, late];
    const open: Pace[] = [];
    for (let isOpen = true; isOpen;) {
      isOpen = false;
      for (const each of both) {
        if (!each.hasRoom(now)) continue;
        each.begin("background", now);
        open.push(each);
        isOpen = true;
      }
    }
    const startedAt = now;
    now += 100;
    open.forEach((each, index) => {
      const reason = index < most ? "ok" : "rate_limited";
      each.end("background", { reason, startedAt, endedAt: now }, now + 1000);
    });
  }
  expect(early.limit + late.limit).toBeLessThanOrEqual(most * 1.3);
  expect(Math.min(early.limit, late.limit) * 3).toBeGreaterThan(Math.max(early.limit, late.limit));
});

test("each target has a pace of its own", () => {
  const paces = createPaces(() => 100);
  const one = paces.of({ provider: "a", model: "m" });
  expect(paces.of({ provider: "a", model: "m" })).toBe(one);
  expect(paces.of({ provider: "b", model: "m" })).not.toBe(one);
  expect([...paces.all()].map(([{ provider }]) => provider)).toEqual(["a", "b"]);
});
