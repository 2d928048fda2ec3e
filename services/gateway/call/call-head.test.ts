import { expect, test } from "vitest";
import { pickForwardedHeaders, readSession } from "./call-head.ts";

test("only the five headers go to a provider", () => {
  expect(
    pickForwardedHeaders({
      accept: "application/json",
      "anthropic-beta": "a,b",
      "anthropic-version": "2026-10-21",
      "content-type": "application/json",
      "user-agent": "claude-cli/2.1.330",
      authorization: "Bearer secret",
      "x-api-key": "secret",
      "x-app": "cli",
      cookie: "a=b",
    }),
  ).toEqual({
    accept: "application/json",
    "anthropic-beta": "a,b",
    "anthropic-version": "2026-10-21",
    "content-type": "application/json",
    "user-agent": "claude-cli/2.1.330",
  });
});

test("a missing version is 2023-06-01, one that came is never changed", () => {
  expect(pickForwardedHeaders({})).toEqual({ "anthropic-version": "2023-06-01" });
  expect(pickForwardedHeaders({ "anthropic-version": "2099-01-01" })["anthropic-version"]).toBe("2099-01-01");
});

test("a client's own name for its conversation is read from its header, and not at any length", () => {
  expect(readSession({ "x-claude-code-session-id": "a1" })).toBe("session:a1");
  expect(readSession({ "x-claude-code-session-id": "x".repeat(10_000) })?.length).toBeLessThan(200);
  expect(readSession({})).toBeUndefined();
});
