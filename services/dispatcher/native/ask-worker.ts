import { randomUUID } from "node:crypto";
import type { ForwardedHeaders, WorkerCall } from "#shared/messages/call.ts";
import type { NativeCall } from "#shared/messages/native-batch.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { StreamReceiver } from "#shared/rpc/stream-call.ts";
import type { WorkerPool } from "#shared/rpc/worker-pool.ts";
import { callIdFrom } from "../batches/item-job.ts";

export interface AskDeps {
  readonly pool: Pick<WorkerPool, "invoke" | "stream">;
  readonly signal: AbortSignal;
}

interface Asked {
  readonly keyId: string;
  readonly headers: ForwardedHeaders;
  readonly native: NativeCall;
  readonly body?: Buffer;
}

/** The provider's own batches take their time over large bodies. */
const stepMs = 900_000;

/** One step at a provider. An outcome without an answer says by its last attempt whether anything was sent. Rejects like `invoke`. */
export function askWorker(asked: Asked, { pool, signal }: AskDeps): Promise<Outcome> {
  return pool.invoke(stepCall(asked), { signal, keepOrphan: false });
}

/** The lines of a step that streams, some at a time. Throws when they are not all of them. */
export async function* readLines(asked: Asked, { pool, signal }: AskDeps): AsyncGenerator<readonly Buffer[]> {
  const arrivals = new Arrivals();
  const call = pool.stream(stepCall(asked), arrivals, { signal });
  let rest = Buffer.alloc(0);
  try {
    for (;;) {
      const chunks = await arrivals.next(signal);
      if (chunks === undefined) break;
      const bytes = Buffer.concat([rest, ...chunks]);
      const end = bytes.lastIndexOf(0x0a) + 1;
      rest = bytes.subarray(end);
      yield splitLines(bytes.subarray(0, end));
      call.consumed(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    }
    if (rest.length > 0) yield [rest];
  } finally {
    call.cancel();
  }
}

function stepCall({ keyId, headers, native, body = Buffer.alloc(0) }: Asked): WorkerCall {
  const now = Date.now();
  return {
    head: {
      id: callIdFrom(randomUUID()),
      operation: "messages",
      stream: native.step === "results",
      priority: "background",
      keyId,
      model: native.provider,
      askedModel: native.provider,
      headers,
      splices: { model: { start: 0, end: 0 } },
      wishes: {},
      acceptedAt: now,
      deadlineAt: now + stepMs,
      waitUntil: now,
      native,
    },
    body: { bytes: body },
    delivery: 1,
  };
}

function splitLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let from = 0; from < bytes.length;) {
    const end = bytes.indexOf(0x0a, from);
    if (end > from) lines.push(bytes.subarray(from, end));
    from = end + 1;
  }
  return lines;
}

/** What has come of a stream and was not read yet. States: coming → complete or broken. */
class Arrivals implements StreamReceiver {
  #chunks: Buffer[] = [];
  #end: "complete" | Error | undefined;
  #wake: (() => void) | undefined;

  head(): void {}

  data(chunk: Buffer): void {
    this.#chunks.push(Buffer.from(chunk));
    this.#wake?.();
  }

  end({ end }: { readonly end: string }): void {
    this.#over(end === "complete" ? "complete" : new Error("the provider's results were cut"));
  }

  outcome({ status, code }: Outcome): void {
    this.#over(new Error(`no results: ${code}, HTTP status ${status}`));
  }

  lost(): void {
    this.#over(new Error("the worker was lost"));
  }

  /** Undefined at the end. */
  async next(signal: AbortSignal): Promise<readonly Buffer[] | undefined> {
    while (this.#chunks.length === 0) {
      signal.throwIfAborted();
      if (this.#end === "complete") return undefined;
      if (this.#end) throw this.#end;
      await this.#arrival(signal);
    }
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks;
  }

  #arrival(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener("abort", wake);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = wake;
      signal.addEventListener("abort", wake, { once: true });
    });
  }

  #over(end: "complete" | Error): void {
    this.#end ??= end;
    this.#wake?.();
  }
}
