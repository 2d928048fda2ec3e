import { expect, test } from "vitest";
import { createLanePace } from "./lane-pace.ts";

/** A lane with as many jobs as its concurrency allows, unless the test says otherwise. */
function busyLane() {
  const lane = {
    concurrency: 0,
    running: 0,
    setConcurrency(next: number) {
      lane.concurrency = next;
      lane.running = Math.max(lane.running, next);
    },
  };
  return lane;
}

test("a lane whose jobs all find room rises to its most within seconds", () => {
  const lane = busyLane();
  const pace = createLanePace(lane, 100);
  expect(lane.concurrency).toBe(8);
  for (let tick = 1; tick <= 14; tick += 1) pace.tick(tick * 250);
  expect(lane.concurrency).toBe(100);
});

test("a lane that is not used up stays as it is", () => {
  const lane = busyLane();
  const pace = createLanePace(lane, 100);
  lane.running = 3;
  pace.tick(250);
  expect(lane.concurrency).toBe(8);
});

test("jobs that stand back bring the lane down to those that run, and one more is tried with every tick", () => {
  const lane = busyLane();
  const pace = createLanePace(lane, 100);
  for (const running of [8, 7, 6]) {
    lane.running = running;
    pace.stoodBack(1000);
  }
  expect(lane.concurrency).toBe(5);
  lane.running = 5;
  pace.tick(1250);
  expect(lane.concurrency).toBe(6);
  pace.tick(1500);
  expect(lane.concurrency).toBe(7);
});

test("where interactive calls use everything the lane rests between tries", () => {
  const lane = busyLane();
  const pace = createLanePace(lane, 100);
  lane.running = 1;
  pace.stoodBack(1000);
  expect(lane.concurrency).toBe(0);
  lane.running = 0;
  pace.tick(1250);
  expect(lane.concurrency).toBe(1);
});

test("long after the last refusal the lane rises fast again", () => {
  const lane = busyLane();
  const pace = createLanePace(lane, 100);
  for (let tick = 1; tick <= 14; tick += 1) pace.tick(tick);
  lane.running = 41;
  pace.stoodBack(1000);
  lane.running = 40;
  pace.tick(2000);
  expect(lane.concurrency).toBe(41);
  lane.running = 41;
  pace.tick(7000);
  expect(lane.concurrency).toBe(51);
});

test("a lane is never wider than its most", () => {
  const lane = busyLane();
  createLanePace(lane, 3);
  expect(lane.concurrency).toBe(3);
});
