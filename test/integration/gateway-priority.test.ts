import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { ask, startGatewayBed } from "../support/gateway-bed.ts";
import { useGatewayBed } from "../support/use-gateway-bed.ts";

const bed = await useGatewayBed({ dispatcher: false, config: { queue: { linger: "300ms" } } });

test.each([
  ["background", "/v1/messages", "background"],
  ["interactive", "/v1/messages", "interactive"],
  ["", "/v1/messages", "interactive"],
  // Counts have a lane of their own.
  ["background", "/v1/messages/count_tokens", "count"],
] as const)("priority %j on %s lies in the lane %s", async (priority, path, lane) => {
  const leave = new AbortController();
  const call = fetch(`${bed.url}${path}`, {
    method: "POST",
    headers: { "x-api-key": "sk-bed", "x-sluice-priority": priority },
    body: JSON.stringify(ask()),
    signal: leave.signal,
  }).catch(() => undefined);
  await eventually(async () => expect((await bed.depth())[lane].waiting).toBe(1));
  leave.abort();
  await call;
  // A whole answer lingers for an SDK's retry before it is cancelled.
  await eventually(async () => expect((await bed.depth())[lane].waiting).toBe(0));
});

test.each(["urgent", "BACKGROUND", "interactive, background"])("priority %j is refused", async (priority) => {
  const answer = await bed.post("/v1/messages", ask(), { "x-sluice-priority": priority });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({
    type: "error",
    error: { type: "invalid_request_error", message: expect.stringContaining("x-sluice-priority") },
  });
});

test("a stream is somebody's who waits, whatever its priority says", async () => {
  const answer = await bed.post("/v1/messages", ask({ stream: true }), { "x-sluice-priority": "background" });
  expect(answer.status).toBe(200);
  await answer.text();
  expect(bed.calls.at(-1)?.head.priority).toBeUndefined();
});

test("the worker is told that a whole answer is background work", async () => {
  await using other = await startGatewayBed();
  const answer = await other.post("/v1/messages", ask(), { "x-sluice-priority": "background" });
  expect(answer.status).toBe(200);
  expect(other.calls.at(-1)?.head.priority).toBe("background");
});
