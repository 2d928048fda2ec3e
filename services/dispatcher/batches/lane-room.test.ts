import { expect, test } from "vitest";
import { createLaneRoom } from "./lane-room.ts";

test("a lane found empty again and again is given more, up to a bound", () => {
  const room = createLaneRoom();
  const given = Array.from({ length: 8 }, () => room.roomFor(0));
  expect(given).toEqual([32, 64, 128, 256, 512, 512, 512, 512]);
});

test("a lane in which items stay is given none, until hardly any wait there", () => {
  const room = createLaneRoom();
  for (let look = 0; look < 8; look++) room.roomFor(0);
  for (let look = 0; look < 30; look++) expect(room.roomFor(512)).toBe(0);
  expect(room.roomFor(16)).toBe(0);
  expect(room.roomFor(10)).toBe(6);
});
