import { metrics } from "#shared/telemetry/metrics.ts";
import { abandoned } from "./change-signal.ts";
import type { AttachRequest, CallResult, ClientCall } from "./client-call.ts";
import { lostAfterMs, type WorkerLink } from "./worker-link.ts";
import type { WorkerLinks } from "./worker-links.ts";

/** How long a worker may take to say whether it holds a call; a frozen one is not waited for. */
const answerWithinMs = 2000;

/**
 * Asks every worker whether it holds the call, and waits for the first that does to end it. A worker whose session is
 * away is waited for until it counts as lost. `unknown`: nobody holds it. Rejects with GatewayError `cancelled` when
 * the signal aborts; a worker that holds the call is told so.
 */
export async function findHeldCall(
  request: AttachRequest,
  signal: AbortSignal,
  links: WorkerLinks,
): Promise<CallResult> {
  await links.wait(() => (links.resolved ? true : undefined), { signal, until: Date.now() + lostAfterMs });
  const search = new Search(request, signal);
  try {
    search.askAll(links);
    const result = await search.result;
    metrics.attachesTotal.inc({ result: result.kind === "unknown" ? "unknown" : "held" });
    return result;
  } finally {
    search.close();
  }
}

class Search {
  readonly result: Promise<CallResult>;
  #request: AttachRequest;
  #signal: AbortSignal;
  #settled = Promise.withResolvers<CallResult>();
  #calls = new Set<ClientCall>();
  #holder: ClientCall | undefined;
  #asked = new Set<string>();
  #over = false;

  constructor(request: AttachRequest, signal: AbortSignal) {
    this.#request = request;
    this.#signal = signal;
    this.result = this.#settled.promise;
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  askAll(links: WorkerLinks): void {
    Promise.all(links.all.map((link) => this.#ask(link, links))).then(
      () => this.#everyoneAnswered(),
      (error: unknown) => this.#settled.reject(error),
    );
  }

  close(): void {
    this.#over = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
  }

  /** Resolves when the worker behind this link has answered, is lost, or somebody else holds the call. */
  async #ask(link: WorkerLink, links: WorkerLinks): Promise<void> {
    const look = (): boolean | undefined => (this.#over || link.session || link.lost ? true : undefined);
    await links.wait(look, { signal: this.#signal, until: link.lostAt });
    if (this.#over || this.#holder || !link.session || this.#asked.has(link.epoch)) return;
    this.#asked.add(link.epoch);
    await this.#attach(link);
  }

  #everyoneAnswered(): void {
    if (!this.#holder) this.#settled.resolve({ kind: "unknown" });
  }

  #attach(link: WorkerLink): Promise<void> {
    return new Promise((answered) => {
      const timer = setTimeout(answered, answerWithinMs);
      const done = (): void => {
        clearTimeout(timer);
        answered();
      };
      const call: ClientCall = link.attach(this.#request, {
        held: (held) => {
          if (held) this.#found(call);
          done();
        },
        over: (result) => {
          this.#calls.delete(call);
          done();
          if (result.kind === "superseded" || this.#holder === call) this.#settled.resolve(result);
        },
      });
      this.#calls.add(call);
    });
  }

  #found(call: ClientCall): void {
    // A second holder, or one that answers after everybody else was given up, runs for nobody.
    if (this.#over || this.#holder) return call.cancel();
    this.#holder = call;
  }

  #onAbort = (): void => {
    this.#over = true;
    for (const call of this.#calls) call.cancel();
    this.#settled.reject(abandoned(this.#signal));
  };
}
