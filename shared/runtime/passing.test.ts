import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { collectGarbage } from "./collect-garbage.ts";
import { PassingMap, PassingSet } from "./passing.ts";

interface Item {
  readonly id: number;
  readonly data: readonly number[];
}

const itemBytes = 4096;
const many = 4000;
const atATime = 64;
const mebibyte = 2 ** 20;

function makeItem(id: number): Item {
  return { id, data: Array.from({ length: itemBytes / 8 }, (_, at) => at + 0.5) };
}

/** Bytes that small collections leave when so many items came and went; nothing is collected but by them. */
function leftAfter(add: (item: Item) => () => void): number {
  const removers = Array.from({ length: atATime }, (_, id) => add(makeItem(id)));
  // What is in hand now grows old, the table too.
  collectGarbage();
  const collectYoung = runInNewContext("() => gc({ type: 'minor' })") as () => void;
  const before = process.memoryUsage().heapUsed;
  for (let id = atATime; id < many; id++) {
    removers[id % atATime]?.();
    removers[id % atATime] = add(makeItem(id));
    if (id % 400 === 0) collectYoung();
  }
  collectYoung();
  collectYoung();
  return process.memoryUsage().heapUsed - before;
}

describe("of 16 MB that came and went small collections leave little", () => {
  test("from a set", () => {
    const set = new PassingSet<Item>();
    expect(leftAfter((item) => set.add(item))).toBeLessThan(4 * mebibyte);
    expect(set.size).toBe(atATime);
  });

  test("from a map", () => {
    const map = new PassingMap<string, Item>();
    const left = leftAfter((item) => {
      map.set(`call_${item.id}`, item);
      return () => map.delete(`call_${item.id}`);
    });
    expect(left).toBeLessThan(4 * mebibyte);
    expect(map.size).toBe(atATime);
  });
});

test("a set has its members until they are taken out, the same one as often as it was added", () => {
  const set = new PassingSet<{ name: string }>();
  const [one, two] = [{ name: "one" }, { name: "two" }];
  const removeOne = set.add(one);
  set.add(two);
  const removeAgain = set.add(one);
  removeOne();
  removeOne();
  expect([...set]).toEqual([two, one]);
  removeAgain();
  expect([...set]).toEqual([two]);
  expect(set.size).toBe(1);
});

test("members may leave, and others come, while they are gone through", () => {
  const set = new PassingSet<{ name: string }>();
  const seen: string[] = [];
  set.add({ name: "one" });
  const removeTwo = set.add({ name: "two" });
  for (const { name } of set) {
    seen.push(name);
    if (name !== "one") continue;
    removeTwo();
    set.add({ name: "three" });
  }
  expect(seen).toEqual(["one", "three"]);
});

test("a map has the latest value of each key, in the order of the first", () => {
  const map = new PassingMap<string, { value: number }>();
  map.set("a", { value: 1 });
  map.set("b", { value: 2 });
  map.set("a", { value: 3 });
  expect([...map]).toEqual([
    ["a", { value: 3 }],
    ["b", { value: 2 }],
  ]);
  expect([map.delete("a"), map.delete("a")]).toEqual([true, false]);
  expect([map.get("a"), map.has("a"), [...map.keys()]]).toEqual([undefined, false, ["b"]]);
  map.clear();
  expect([map.size, map.has("b")]).toEqual([0, false]);
});
