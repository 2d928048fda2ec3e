import { returnedHeaders } from "../upstream/returned-headers.ts";
import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { CallHead } from "#shared/messages/call.ts";
import type { Attempt, Outcome } from "#shared/messages/outcome.ts";
import type { StreamSink } from "#shared/rpc/call-handler.ts";
import type { UpstreamHead, UpstreamRequest } from "../adapters/adapter.ts";
import { createBodyCollector, type BodyCollector } from "../engine/body-collector.ts";
import type { Provider } from "../engine/provider.ts";
import { Exchange, type ExchangeFailure, type ExchangeReceiver } from "../upstream/exchange.ts";

export interface Asking {
  readonly head: CallHead;
  readonly provider: Provider;
  readonly request: UpstreamRequest;
  readonly signal: AbortSignal;
  readonly onSent: () => void;
}

/** A batch object or a page of them. */
const maxAnswerBytes = 16 * 1024 * 1024;
const longestMs = 600_000;
const idleMs = 120_000;

/** One exchange, never repeated here. The outcome is the provider's answer as it came, or our word that there was none. */
export function askProvider(asking: Asking): Promise<Outcome> {
  return new Promise((resolve) => new WholeExchange(asking, resolve).start());
}

/** The same with an answer that is passed on as it comes, no faster than it is taken. Errors are an outcome. */
export function streamFromProvider(asking: Asking, sink: StreamSink): Promise<void> {
  return new Promise((resolve) => new StreamedExchange(asking, { sink, resolve }).start());
}

/** States: asked → answered → over. */
class WholeExchange implements ExchangeReceiver {
  protected readonly asking: Asking;
  protected readonly exchange: Exchange;
  protected answer: UpstreamHead | undefined;
  readonly #settle: (outcome: Outcome) => void;
  readonly #body: BodyCollector = createBodyCollector(maxAnswerBytes);
  readonly #startedAt = Date.now();
  readonly #onAbort = (): void => this.exchange.abort("asker gone");

  constructor(asking: Asking, settle: (outcome: Outcome) => void) {
    this.asking = asking;
    this.#settle = settle;
    this.exchange = new Exchange(this);
  }

  start(): void {
    const { head, provider, request, signal } = this.asking;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    this.exchange.expireAt(Math.min(head.deadlineAt, Date.now() + longestMs), "deadline");
    provider.upstream.send(request, this.exchange);
  }

  sent(): void {
    this.asking.onSent();
  }

  head(head: UpstreamHead): void {
    this.answer = head;
    this.exchange.limitIdle(idleMs);
  }

  data(chunk: Buffer): void {
    if (!this.#body.add(chunk)) this.exchange.abort("answer too large");
  }

  end(): void {
    const { head, provider } = this.asking;
    const { status = 502, headers = {} } = this.answer ?? {};
    this.over({
      code: status === 200 ? "ok" : "upstream",
      status,
      headers: returnedHeaders(headers, head.id),
      body: this.#body.take(),
      provider: provider.name,
      attempts: [],
      waits: [],
      notes: [],
    });
  }

  failed(failure: ExchangeFailure): void {
    this.over(unanswered(this.asking, failure, this.#startedAt));
  }

  protected over(outcome: Outcome): void {
    this.asking.signal.removeEventListener("abort", this.#onAbort);
    this.#settle(outcome);
  }
}

/** Its attempt tells whether the provider may have taken it. */
function unanswered({ head, provider }: Asking, failure: ExchangeFailure, startedAt: number): Outcome {
  const reason = failure.sent ? "reset" : "connect_failed";
  const attempt: Attempt = { provider: provider.name, model: head.model, startedAt, endedAt: Date.now(), reason };
  const error = new GatewayError("overloaded", `The provider did not answer: ${failure.detail}.`);
  return errorOutcome(error, head.id, { attempts: [attempt] });
}

/** States: asked → streaming, or collecting an error → over. */
class StreamedExchange extends WholeExchange {
  readonly #sink: StreamSink;
  #isStreaming = false;
  readonly #resolve: () => void;

  constructor(asking: Asking, { sink, resolve }: { readonly sink: StreamSink; readonly resolve: () => void }) {
    super(asking, (outcome) => {
      sink.outcome(outcome);
      resolve();
    });
    this.#sink = sink;
    this.#resolve = resolve;
  }

  override start(): void {
    super.start();
    // However long the results are: silence is what ends them.
    this.exchange.expireAt(this.asking.head.deadlineAt, "deadline");
  }

  override head(head: UpstreamHead): void {
    super.head(head);
    if (head.status !== 200) return;
    this.#isStreaming = true;
    this.#sink.source = this.exchange;
    const { provider, head: call } = this.asking;
    const headers = returnedHeaders(head.headers, call.id);
    this.#sink.head({ status: 200, headers, provider: provider.name, model: call.model, attempts: 1 });
  }

  override data(chunk: Buffer): void {
    if (!this.#isStreaming) return super.data(chunk);
    if (!this.#sink.write(chunk)) this.exchange.pause();
  }

  override end(): void {
    if (this.#isStreaming) this.#finish("complete");
    else super.end();
  }

  override failed(failure: ExchangeFailure): void {
    if (this.#isStreaming) this.#finish("cut");
    else super.failed(failure);
  }

  #finish(end: "complete" | "cut"): void {
    this.#sink.source = undefined;
    this.#sink.end({ end, code: end === "complete" ? "ok" : "internal", attempts: [], waits: [], notes: [] });
    this.#resolve();
  }
}
