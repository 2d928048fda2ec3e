import { expect, test } from "vitest";

import { get, post, prompt, type Answered } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import { useStack } from "../support/use-stack.ts";
import { useUpstream } from "../support/use-upstream.ts";

// What is known afterwards of a job that its caller ended: in its answer, its trace, the log and the usage.

const upstream = await useUpstream();
const stack = await useStack({ upstreams: [upstream], gateways: 2 });

interface Job {
  readonly id: string;
  readonly callId: string;
}

async function submit(text: string, more: object = {}): Promise<Job> {
  const answer = await post(stack, prompt(text, more), { headers: { prefer: "respond-async" } });
  expect(answer.status).toBe(202);
  const { id, request_id: callId } = answer.json as { readonly id: string; readonly request_id: string };
  return { id, callId };
}

const cancel = ({ id }: Job): Promise<Answered> => post(stack.other, {}, { path: `/v1/jobs/${id}/cancel` });

async function traceOf({ callId }: Job): Promise<unknown> {
  const answer = await get(stack, `/v1/requests/${callId}`);
  expect(answer.status).toBe(200);
  return answer.json;
}

/** A line of a process' log, from one of its fields on. */
const lineOf = (process: string, { callId }: Job, fields: string): RegExp =>
  new RegExp(`${process} \\| .*"callId":"${callId}".*${fields}`);

test("one that a provider was working on: its attempts, cut off, and what it had met before", async () => {
  upstream.next((exchange) => exchange.error(503));
  upstream.onRequest(() => undefined);
  const job = await submit("in a provider's hands");
  await eventually(() => expect(upstream.with("in a provider's hands")).toHaveLength(2));
  expect((await cancel(job)).json).toMatchObject({ id: job.id, status: "canceled", request_id: job.callId });
  const answer = await get(stack, `/v1/jobs/${job.id}`);
  expect(answer.status).toBe(409);
  expect(answer.json).toMatchObject({ error: { type: "conflict_error", message: "The job was canceled." } });
  expect(answer.headers.get("x-sluice-attempts")).toBe("2");
  expect(answer.headers.get("x-sluice-job-status")).toBe("canceled");
  expect(await traceOf(job)).toMatchObject({
    id: job.callId,
    request_id: job.callId,
    status: 409,
    code: "cancelled",
    provider: null,
    usage: null,
    cost: null,
    attempts: [
      { provider: "one", status: 503, reason: "overloaded" },
      { provider: "one", status: null, reason: "cancelled" },
    ],
    waits: [{ kind: "queue" }, { kind: "backoff" }],
  });
  const known = '"provider":"one","attempts":2,"reason":"cancelled"';
  await expect.poll(() => stack.log()).toMatch(lineOf("dispatcher", job, `"code":"cancelled",${known}.*"msg":"job"`));
  await expect.poll(() => stack.log()).toMatch(lineOf("gateway-2", job, `${known}.*"msg":"job canceled"`));
});

test("one whose worker does not come back: the attempt that it is known to have begun", async () => {
  upstream.onRequest(() => undefined);
  const job = await submit("a frozen worker");
  await eventually(() => expect(upstream.with("a frozen worker")).toHaveLength(1));
  stack.get("worker").signal("SIGSTOP");
  try {
    expect((await cancel(job)).json).toMatchObject({ status: "canceled" });
  } finally {
    stack.get("worker").signal("SIGCONT");
  }
  expect(await traceOf(job)).toMatchObject({
    code: "cancelled",
    attempts: [{ provider: "one", reason: "cancelled" }],
    notes: ["attempts_incomplete"],
  });
});

test("one whose dispatcher does not hear of it: that it is not known what was asked; and it is not counted twice", async () => {
  upstream.onRequest(() => undefined);
  const job = await submit("a frozen dispatcher");
  await eventually(() => expect(upstream.with("a frozen dispatcher")).toHaveLength(1));
  stack.get("dispatcher").signal("SIGSTOP");
  try {
    expect((await cancel(job)).json).toMatchObject({ status: "canceled" });
    expect((await get(stack, `/v1/jobs/${job.id}`)).status).toBe(409);
  } finally {
    stack.get("dispatcher").signal("SIGCONT");
  }
  expect(await upstream.with("a frozen dispatcher")[0]?.closed).toBe(false);
  expect(await traceOf(job)).toMatchObject({ code: "cancelled", attempts: [], notes: ["attempts_incomplete"] });
});

test("one that was parked: what had come of it by then", async () => {
  upstream.next((exchange) => exchange.error(429, { headers: { "retry-after": "600" } }));
  const job = await submit("parked", { model: "claude-haiku-4-5" });
  await eventually(async () => {
    const { json } = await get(stack, "/v1/limits");
    expect(json).toMatchObject({ lanes: { background: { parked: 1 } } });
  });
  expect((await cancel(job)).json).toMatchObject({ status: "canceled" });
  expect((await get(stack, `/v1/jobs/${job.id}`)).headers.get("x-sluice-attempts")).toBe("1");
  expect(await traceOf(job)).toMatchObject({
    code: "cancelled",
    attempts: [{ provider: "one", status: 429, reason: "rate_limited" }],
    waits: [{ kind: "queue" }, { kind: "capacity" }],
  });
  await expect.poll(() => stack.log()).toMatch(lineOf("gateway-2", job, '"attempts":1.*"msg":"job canceled"'));
});

test("one that waited in the lane: that nobody was asked, and how long it lay there", async () => {
  await stack.get("dispatcher").kill("SIGKILL");
  const job = await submit("in the lane");
  expect((await cancel(job)).json).toMatchObject({ status: "canceled" });
  const trace = await traceOf(job);
  expect(trace).toMatchObject({ status: 409, code: "cancelled", attempts: [], waits: [{ kind: "queue" }] });
  stack.get("dispatcher").start();
  await stack.get("dispatcher").ready();
  expect(upstream.requests).toHaveLength(0);
});

test("all of them are failed calls in the usage, of which no tokens are known", async () => {
  await eventually(async () => {
    const { json } = await get(stack, "/v1/usage?group_by=key");
    expect(json).toMatchObject({ total: { calls: 5, failed_calls: 5, input_tokens: 0, cost_usd: 0 } });
  });
});
