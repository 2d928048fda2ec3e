import { afterAll, beforeEach, inject } from "vitest";

import type { WorkerCall } from "#shared/messages/call.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import { startScriptedUpstream, wholeAnswer, type Script, type ScriptedUpstream } from "./scripted-upstream.ts";
import { errorBody, messageBody } from "./wire-samples.ts";
import {
  makeCall,
  makeContext,
  startWorkerHarness,
  type HarnessOptions,
  type WorkerHarness,
} from "./worker-harness.ts";

/** Two providers of a worker, and workers that ask them. */
export interface WorkerBed {
  readonly a: ScriptedUpstream;
  readonly b: ScriptedUpstream;
  /** A worker whose routes are `a`, then `b`, unless told. */
  start(options?: Partial<HarnessOptions>): Promise<WorkerHarness>;
}

/** For all tests of a file; before each of them the providers forget, and answer what `standing` makes of their names. */
export async function useWorkerBed(standing: (text: string) => Script = ok): Promise<WorkerBed> {
  const [a, b] = await Promise.all([startScriptedUpstream(), startScriptedUpstream()]);
  afterAll(() => Promise.all([a.close(), b.close()]));
  beforeEach(() => {
    a.clear();
    b.clear();
    a.always(standing("from a"));
    b.always(standing("from b"));
  });
  const providers = { a: a.url, b: b.url };
  return { a, b, start: (options) => startWorkerHarness({ providers, redisUrl: inject("redisUrl"), ...options }) };
}

/** A Message with this text. */
export function ok(text = "fine", headers: Readonly<Record<string, string>> = {}): Script {
  return wholeAnswer(200, JSON.stringify(messageBody(text)), { "request-id": "req_ok", ...headers });
}

/** An error in Anthropic's envelope. */
export function failing(
  status: number,
  sample: Parameters<typeof errorBody>[1] = {},
  headers: Readonly<Record<string, string>> = {},
): Script {
  const body = JSON.stringify(errorBody(status, { requestId: "req_failed", ...sample }));
  return wholeAnswer(status, body, { "request-id": "req_failed", ...headers });
}

export function invoke(harness: WorkerHarness, call: WorkerCall = makeCall()): Promise<Outcome> {
  return harness.handler.invoke(call, makeContext());
}

/** The lines of a metric. */
export function counted(harness: WorkerHarness, name: string): Promise<string> {
  return harness.registry.getSingleMetricAsString(`sluice_${name}`);
}
