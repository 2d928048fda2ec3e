import { once } from "node:events";
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { expect, test } from "vitest";

import { createBodyBudget } from "./body-budget.ts";
import { readPayload } from "./read-payload.ts";

test("a caller that left before its body was asked for is gone at once, and holds no bytes", async () => {
  const request = new IncomingMessage(new Socket());
  request.headers["content-length"] = "1000";
  request.on("error", () => undefined).destroy();
  await once(request, "close");
  const budget = createBodyBudget(1_000_000);
  const limits = { maxBodyBytes: 10_000, bodyTimeoutMs: 60_000, minBodyBytesPerSecond: 1 };
  const read = readPayload(request, new ServerResponse(request), { limits, budget });
  await expect(read).rejects.toMatchObject({ code: "cancelled" });
  expect(budget.taken).toBe(0);
});
