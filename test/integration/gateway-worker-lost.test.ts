import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { WorkerCall } from "#shared/messages/call.ts";
import type { CutProxy } from "../support/cut-proxy.ts";
import {
  answerStreamed,
  answerWhole,
  ask,
  beginStream,
  startGatewayBed,
  type GatewayBed,
} from "../support/gateway-bed.ts";
import { messageStart } from "../support/wire-samples.ts";

let bed: GatewayBed;
beforeEach(async () => {
  bed = await startGatewayBed({ workers: 2 });
});
afterEach(() => bed.close());

const streamed = ask({ stream: true });

/** The wire to the worker that has the call. */
function wireOf(call: WorkerCall, from: GatewayBed = bed): CutProxy | undefined {
  return from.wires[from.takenBy.get(call.head.id)?.at(-1) ?? 0];
}

const note = { provider: "one", model: "claude-opus-4-8-at-one", at: 1 };

describe("a stream whose worker is lost", () => {
  test("before a provider was asked goes to another worker", async () => {
    bed.script.stream = (call, sink, context) => {
      if (call.delivery > 1) return answerStreamed(call, sink, context);
      wireOf(call)?.cut();
      return new Promise(() => undefined);
    };
    const response = await bed.post("/v1/messages", streamed);
    expect(await response.text()).toContain("message_stop");
    expect(bed.calls.map(({ delivery, sentBefore }) => ({ delivery, sentBefore }))).toEqual([
      { delivery: 1, sentBefore: undefined },
      { delivery: 2, sentBefore: undefined },
    ]);
    expect(bed.calls[1]?.body).toEqual(bed.calls[0]?.body);
  });

  test("after a provider was asked goes to another worker once, which is told so", async () => {
    bed.script.stream = (call, sink, context) => {
      if (call.delivery > 1) return answerStreamed(call, sink, context);
      wireOf(call)?.cutBehind(note.model);
      context.sent(note);
      return new Promise(() => undefined);
    };
    const response = await bed.post("/v1/messages", streamed);
    expect(await response.text()).toContain("message_stop");
    expect(bed.calls[1]).toMatchObject({ delivery: 2, sentBefore: note });
    await expect.poll(() => bed.lines.join("")).toContain("worker_lost");
  });

  test("after a provider was asked is an error when such calls may not be sent again", async () => {
    await using strict = await startGatewayBed({ workers: 2, config: { engine: { rerun_sent: false } } });
    strict.script.stream = (call, _sink, context) => {
      wireOf(call, strict)?.cutBehind(note.model);
      context.sent(note);
      return new Promise(() => undefined);
    };
    const response = await strict.post("/v1/messages", streamed);
    expect([response.status, response.headers.get("x-should-retry")]).toEqual([500, "false"]);
    expect(strict.calls).toHaveLength(1);
  });

  test("after it has begun ends with an error event", async () => {
    bed.script.stream = (call, sink) => {
      wireOf(call)?.cutBehind("message_start");
      beginStream(sink);
      sink.write(Buffer.from(messageStart()));
      return new Promise(() => undefined);
    };
    const response = await bed.post("/v1/messages", streamed);
    const text = await response.text().catch(() => "broken");
    expect(text).toMatch(/event: error\ndata: \{.*\}\n\n$/);
    expect(bed.calls).toHaveLength(1);
  });
});

test("a whole answer whose session is lost is fetched from the worker that still holds it, or asked for again", async () => {
  bed.script.invoke = (call, context) => {
    if (call.delivery > 1) return answerWhole(call, context);
    wireOf(call)?.cut();
    return new Promise(() => undefined);
  };
  expect((await bed.post("/v1/messages", ask())).status).toBe(200);
});
