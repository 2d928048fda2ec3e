import { expect, test } from "vitest";
import { addNote, joinNotes } from "./notes.ts";

test("a remark is made once", () => {
  const notes = ["redis_away"];
  for (const note of ["redis_away", "caching: system", "caching: system"]) addNote(notes, note);
  expect(notes).toEqual(["redis_away", "caching: system"]);
});

test("what is known of a target of the plan is told as it was at last, of each by itself", () => {
  const before = ["plan: one m out until 1: credential_refused", "plan: one n blocked until 1", "redis_away"];
  const since = ["plan: one m out until 2: account_exhausted", "plan: two m out until 2", "plan: one m broken until 2"];
  expect(joinNotes(before, since)).toEqual([
    "plan: one m out until 2: account_exhausted",
    "plan: one n blocked until 1",
    "redis_away",
    "plan: two m out until 2",
    "plan: one m broken until 2",
  ]);
  expect(before).toHaveLength(3);
});

test("other remarks with the word in them are told all", () => {
  expect(joinNotes(["dropped: a until b"], ["dropped: a until c"])).toHaveLength(2);
});
