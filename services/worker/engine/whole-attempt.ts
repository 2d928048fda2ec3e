import type { UpstreamHead } from "../adapters/adapter.ts";
import { Exchange, type ExchangeFailure, type ExchangeReceiver } from "../upstream/exchange.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import type { AttemptOrder } from "./attempt-order.ts";
import { createBodyCollector } from "./body-collector.ts";
import { endOfAnswer, endOfFailure } from "./end-of-attempt.ts";

/** A Message of 128,000 tokens has about 1 MB; generated files may be in it too. */
const maxAnswerBytes = 64 * 1024 * 1024;

/** A job has hours; a provider that has not answered within this never will. */
const longestAttemptMs = 3_600_000;

/** What a gateway may take to notice that a caller left, and to say so; it answers nobody's time-out before. */
const leavingMs = 250;

/** An attempt at a whole answer or a count: head and body are gathered, and judged together. */
export function makeWholeAttempt(order: AttemptOrder): Promise<AttemptEnd> {
  return new Promise((resolve) => {
    const attempt = new WholeAttempt(order, resolve);
    const exchange = new Exchange(attempt);
    order.run.exchange = exchange;
    attempt.exchange = exchange;
    limitTime(exchange, order, attempt.startedAt);
    order.provider.upstream.send(order.request, exchange);
  });
}

/** An attempt whose call's time is up goes on if somebody who joined the call has more. */
function limitTime(exchange: Exchange, { run, laterDeadline }: AttemptOrder, startedAt: number): void {
  if (startedAt + longestAttemptMs < run.deadlineAt) exchange.expireAt(startedAt + longestAttemptMs, "no_status");
  else
    exchange.expireUnlessLater(run.deadlineAt, "deadline", async () => {
      const later = await laterDeadline(run.head.id);
      if (later !== undefined && later > run.deadlineAt) run.deadlineAt = later;
      // Its caller may be leaving at this very moment, to come again.
      return run.deadlineAt + leavingMs;
    });
}

/** States: waiting for the head → gathering the body → settled. */
class WholeAttempt implements ExchangeReceiver {
  readonly #order: AttemptOrder;
  readonly #settle: (end: AttemptEnd) => void;
  readonly startedAt = Date.now();
  readonly #body = createBodyCollector(maxAnswerBytes);
  #head: UpstreamHead | undefined;
  #statusAt = 0;
  #isTooLarge = false;
  exchange: Exchange | undefined;

  constructor(order: AttemptOrder, settle: (end: AttemptEnd) => void) {
    this.#order = order;
    this.#settle = settle;
  }

  sent(): void {
    const { provider, model } = this.#order.target;
    this.#order.run.tellSent({ provider, model, at: Date.now() });
  }

  head(head: UpstreamHead): void {
    this.#head = head;
    this.#statusAt = Date.now();
    this.#order.onStatus(head.status);
  }

  data(chunk: Buffer): void {
    if (this.#body.add(chunk)) return;
    this.#isTooLarge = true;
    this.exchange?.abort("answer too large");
  }

  end(): void {
    const head = this.#head;
    if (!head) return;
    const times = { startedAt: this.startedAt, statusAt: this.#statusAt };
    this.#settle(endOfAnswer(this.#order, { head, body: this.#body.take() }, times));
  }

  failed(failure: ExchangeFailure): void {
    const seen = { startedAt: this.startedAt, ...(this.#head ? { head: this.#head, statusAt: this.#statusAt } : {}) };
    const end = endOfFailure(failure, seen);
    this.#settle(this.#isTooLarge ? { ...end, reason: "server_error", detail: "answer too large" } : end);
  }
}
