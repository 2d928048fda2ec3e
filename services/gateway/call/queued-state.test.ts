import { describe, expect, test } from "vitest";
import { nextQueuedStep, type QueuedAction, type QueuedEvent, type QueuedState } from "./queued-state.ts";

/** The actions that a call takes on its way through these events, and where it ends. */
function run(...events: QueuedEvent[]): { state: QueuedState; actions: QueuedAction[] } {
  let state: QueuedState = "adding";
  const actions: QueuedAction[] = [];
  for (const event of events) {
    const step = nextQueuedStep(state, event);
    state = step.state;
    if (step.action !== "none") actions.push(step.action);
  }
  return { state, actions };
}

test("with Redis well a call waits for its outcome", () => {
  expect(run("added")).toEqual({ state: "waiting", actions: [] });
});

describe("a job that was not written", () => {
  test("goes straight to a worker when it never entered a socket", () => {
    expect(run("not_added")).toEqual({ state: "straight", actions: ["open"] });
  });

  test("asks the workers first when nothing is known of it", () => {
    expect(run("add_unknown")).toEqual({ state: "straight", actions: ["reopen"] });
  });
});

describe("an interruption", () => {
  test("of more than two seconds sends a waiting call its own way, asking the workers first", () => {
    expect(run("added", "interrupted")).toEqual({ state: "straight", actions: ["reopen"] });
  });

  test("leaves a job that is being written alone: its write ends by itself", () => {
    expect(run("interrupted")).toEqual({ state: "adding", actions: [] });
  });

  test("that ends in time makes the call ask Redis, and wait on while the job is there", () => {
    expect(run("added", "restored", "job_there")).toEqual({ state: "waiting", actions: ["ask"] });
  });

  test("that took the job makes the call ask the workers, and then write the job again", () => {
    expect(run("added", "restored", "nothing_there", "not_held", "added")).toEqual({
      state: "waiting",
      actions: ["ask", "attach", "add_again"],
    });
  });

  test("that comes back while Redis is asked sends the call its own way", () => {
    expect(run("added", "restored", "interrupted")).toEqual({ state: "straight", actions: ["ask", "reopen"] });
    expect(run("added", "restored", "ask_failed")).toEqual({ state: "straight", actions: ["ask", "reopen"] });
  });

  test("that ends once more while Redis is asked makes the call ask again", () => {
    expect(run("added", "restored", "restored").actions).toEqual(["ask", "ask"]);
  });

  test("that ends while the job is being written is asked about once it is written", () => {
    expect(run("restored", "added")).toEqual({ state: "asking", actions: ["ask"] });
    expect(run("restored", "not_added")).toEqual({ state: "straight", actions: ["open"] });
    expect(run("restored", "add_unknown")).toEqual({ state: "straight", actions: ["reopen"] });
  });
});

test("a call that went straight stays with its worker whatever Redis does", () => {
  const events: QueuedEvent[] = ["interrupted", "restored", "added", "job_there", "nothing_there", "not_held"];
  for (const event of events) expect(nextQueuedStep("straight", event)).toEqual({ state: "straight", action: "none" });
});
