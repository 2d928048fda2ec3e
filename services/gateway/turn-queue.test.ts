import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { createTurnQueue } from "./turn-queue.ts";

test("everything added in a turn is flushed once at its end", async () => {
  const turns = createTurnQueue();
  const flushed: string[] = [];
  const item = (name: string) => ({ flush: () => void flushed.push(name) });
  turns.add(item("a"));
  turns.add(item("b"));
  expect(flushed).toEqual([]);
  await nextTurn();
  expect(flushed).toEqual(["a", "b"]);
});

test("what is added during a flush waits for the next turn", async () => {
  const turns = createTurnQueue();
  const flushed: string[] = [];
  turns.add({
    flush: () => {
      flushed.push("first");
      turns.add({ flush: () => void flushed.push("second") });
    },
  });
  await nextTurn();
  expect(flushed).toEqual(["first"]);
  await nextTurn();
  expect(flushed).toEqual(["first", "second"]);
});
