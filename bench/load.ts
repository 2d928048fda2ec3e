/**
 * The callers of the bench, in a process of their own. Reads one JSON plan from argv, prints one JSON result. Every answer is checked (status, text, number of
 * deltas, `message_stop`); what fails the check counts as an error, never as throughput. Closed loop, or open loop with `rate`: latency is then
 * measured from the time the call was due.
 */
import { Pool, type Dispatcher } from "undici";

export interface LoadPlan {
  readonly url: string;
  readonly path: string;
  readonly key: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly stream: boolean;
  readonly deltas: number;
  readonly connections: number;
  readonly promptBytes: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  /** Calls a second, whatever the answers do; closed loop if absent. */
  readonly rate?: number;
  /** An answer that comes later counts as an error; no limit if absent. */
  readonly deadlineMs?: number;
  /** Connections come up over this time. */
  readonly rampMs?: number;
}

export interface LoadResult {
  readonly calls: number;
  readonly errors: number;
  readonly shed: number;
  readonly firstError: string | undefined;
  readonly seconds: number;
  readonly latency: Percentiles;
  readonly firstContent: Percentiles;
  readonly transit: Percentiles;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

interface Tally {
  calls: number;
  errors: number;
  shed: number;
  firstError: string | undefined;
  latency: number[];
  firstContent: number[];
  transit: number[];
}

const marker = Buffer.from("@");

function percentiles(values: number[]): Percentiles {
  const sorted = Float64Array.from(values).toSorted();
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

function nowUs(): number {
  return performance.timeOrigin * 1000 + performance.now() * 1000;
}

/** One call: a handler for undici's dispatch that checks the answer and hands the verdict on. */
class Call implements Dispatcher.DispatchHandler {
  readonly #plan: LoadPlan;
  readonly #startedAt: number;
  readonly #tally: () => Tally | undefined;
  readonly #done: () => void;
  #status = 0;
  #deltas = 0;
  #stopped = false;
  #firstAt = 0;
  #text = "";

  constructor(plan: LoadPlan, startedAt: number, hooks: { tally: () => Tally | undefined; done: () => void }) {
    this.#plan = plan;
    this.#startedAt = startedAt;
    this.#tally = hooks.tally;
    this.#done = hooks.done;
  }

  onRequestStart(): void {}

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#plan.stream) {
      if (this.#text.length < 4000) this.#text += chunk.toString("latin1");
      return;
    }
    const tally = this.#tally();
    const now = nowUs();
    for (let at = chunk.indexOf(marker); at >= 0; at = chunk.indexOf(marker, at + 1)) {
      const end = chunk.indexOf(marker, at + 1);
      if (end < 0) break;
      this.#deltas += 1;
      if (this.#firstAt === 0) this.#firstAt = now;
      tally?.transit.push((now - Number(chunk.toString("latin1", at + 1, end))) / 1000);
      at = end;
    }
    if (chunk.includes("message_stop")) this.#stopped = true;
  }

  onResponseEnd(): void {
    const good = this.#plan.stream
      ? this.#status === 200 && this.#stopped && this.#deltas >= this.#plan.deltas * 0.98
      : this.#status === 200 && /end_turn|input_tokens/.test(this.#text);
    this.#end(good ? undefined : `status ${this.#status}, ${this.#deltas} deltas: ${this.#text.slice(0, 200)}`);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end(error.message);
  }

  #end(error: string | undefined): void {
    const tally = this.#tally();
    const latencyMs = (nowUs() - this.#startedAt) / 1000;
    const isLate = latencyMs > (this.#plan.deadlineMs ?? Infinity);
    if (tally && error === undefined && !isLate) {
      tally.calls += 1;
      tally.latency.push(latencyMs);
      if (this.#firstAt > 0) tally.firstContent.push((this.#firstAt - this.#startedAt) / 1000);
    } else if (tally && (this.#status === 529 || this.#status === 429)) tally.shed += 1;
    else if (tally) {
      tally.errors += 1;
      tally.firstError ??= error ?? "too late";
    }
    this.#done();
  }
}

/** Runs the plan; `onWindow` is called when the measured time begins and when it ends. */
export async function runLoad(plan: LoadPlan, onWindow: (edge: "begin" | "end") => void): Promise<LoadResult> {
  const pool = new Pool(plan.url, {
    connections: plan.rate ? 4096 : plan.connections,
    pipelining: 1,
    headersTimeout: 120_000,
  });
  // Bytes, made once: a megabyte of text for each call would be the load's limit, not the gateway's.
  const text = JSON.stringify({
    model: "claude-bench",
    max_tokens: 100,
    messages: [{ role: "user", content: "x".repeat(plan.promptBytes) }],
    ...(plan.stream ? { stream: true } : {}),
  });
  const body = Buffer.from(text);
  const headers = {
    "content-type": "application/json",
    "x-api-key": plan.key,
    "anthropic-version": "2023-06-01",
    ...plan.headers,
  };
  const tally: Tally = {
    calls: 0,
    errors: 0,
    shed: 0,
    firstError: undefined,
    latency: [],
    firstContent: [],
    transit: [],
  };
  const begin = performance.now() + plan.warmupMs;
  const end = begin + plan.durationMs;
  setTimeout(onWindow, plan.warmupMs, "begin");
  setTimeout(onWindow, plan.warmupMs + plan.durationMs, "end");
  const measured = (): Tally | undefined => {
    const now = performance.now();
    return now >= begin && now < end ? tally : undefined;
  };
  const send = (dueUs: number, done: () => void): void => {
    const call = new Call(plan, dueUs, { tally: measured, done });
    pool.dispatch({ method: "POST", path: plan.path, headers, body }, call);
  };
  if (plan.rate) await openLoop(plan.rate, end, send);
  else await closedLoop(plan, end, send);
  await pool.destroy();
  return {
    calls: tally.calls,
    errors: tally.errors,
    shed: tally.shed,
    firstError: tally.firstError,
    seconds: plan.durationMs / 1000,
    latency: percentiles(tally.latency),
    firstContent: percentiles(tally.firstContent),
    transit: percentiles(tally.transit),
  };
}

type Send = (dueUs: number, done: () => void) => void;

async function closedLoop(plan: LoadPlan, end: number, send: Send): Promise<void> {
  const one = (resolve: () => void): void => {
    if (performance.now() >= end) resolve();
    else send(nowUs(), () => one(resolve));
  };
  const gap = (plan.rampMs ?? 0) / plan.connections;
  await Promise.all(
    Array.from(
      { length: plan.connections },
      (_, index) => new Promise<void>((resolve) => setTimeout(one, index * gap, resolve)),
    ),
  );
}

async function openLoop(rate: number, end: number, send: Send): Promise<void> {
  const start = performance.now();
  const startUs = nowUs();
  let sent = 0;
  let open = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const now = performance.now();
      const due = now < end ? Math.floor(((now - start) / 1000) * rate) : sent;
      for (; sent < due; sent += 1) {
        open += 1;
        send(startUs + (sent / rate) * 1e6, () => (open -= 1));
      }
      if ((now >= end && open === 0) || now >= end + 15_000) {
        clearInterval(timer);
        resolve();
      }
    }, 1);
  });
}

if (process.argv[2]) {
  const result = await runLoad(JSON.parse(process.argv[2]) as LoadPlan, (edge) => process.stdout.write(`"${edge}"\n`));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
