import { randomUUID } from "node:crypto";
import type { ChannelCredentials, Metadata } from "@grpc/grpc-js";
import type { Frame__Output } from "#proto/worker/v1/Frame.ts";
import type { Hello__Output } from "#proto/worker/v1/Hello.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { ClientCall, type AttachRequest, type ClientCallListener, type OpenRequest } from "./client-call.ts";
import { connectSession, type Connection, type SessionLoss } from "./connect-session.ts";
import { sessionVersion } from "./frames.ts";
import type { Endpoint } from "./resolve-addresses.ts";
import type { Session } from "./session.ts";

export interface LinkDeps {
  readonly peer: { readonly kind: string; readonly id: string };
  readonly credentials: ChannelCredentials;
  readonly metadata: Metadata;
  readonly creditBytes: number;
  readonly keepaliveMs: number;
  readonly logger: Logger;
  /** The link takes calls now, or does no more, or its worker is known to be lost. */
  changed(): void;
}

/** How long the session of a worker is waited for before the worker counts as lost. */
export const lostAfterMs = 2000;

const backoffBaseMs = 100;
const backoffMaxMs = 2000;
const repeatLogMs = 60_000;

/**
 * The connection to one address, opened again whenever it breaks (100 ms to 2 s between tries, with jitter).
 *
 * States: connecting ⇄ ready; ready → leaving (the worker drains) → connecting. `retire` lets running calls end and
 * then closes; `close` closes now. Both are final unless `keep` revives a retiring link.
 */
export class WorkerLink {
  readonly endpoint: Endpoint;
  #deps: LinkDeps;
  #connection: Connection | undefined;
  #session: Session | undefined;
  #epoch = "";
  #load = 0;
  #leaving = false;
  #retiring = false;
  #closed = false;
  #awaySince = Date.now();
  #gone = false;
  #failures = 0;
  #lastNumber = 0;
  #retry: NodeJS.Timeout | undefined;
  #lastLog = { detail: "", at: 0 };
  // A link's new session replaces its old one at the worker, even before the worker has noticed the loss.
  #ownEpoch: string = randomUUID();

  constructor(endpoint: Endpoint, deps: LinkDeps) {
    this.endpoint = endpoint;
    this.#deps = deps;
    this.#connect();
  }

  /** Whether calls may be given to it. */
  get ready(): boolean {
    return this.#session !== undefined && !this.#leaving && !this.#retiring;
  }

  /** Changes with every start of the worker: two links with one epoch lead to the same process. */
  get epoch(): string {
    return this.#epoch;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Calls the worker is known to have: ours and, by its own report, those of others. */
  get load(): number {
    return (this.#session?.size ?? 0) + this.#load;
  }

  /** The session, for asking about calls, even of a worker that is leaving. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** True once it is certain or late enough to say that this worker's calls will not be found here. */
  get lost(): boolean {
    if (this.#closed) return true;
    return this.#session === undefined && (this.#gone || Date.now() >= this.lostAt);
  }

  /** When a session that is away counts as lost, in milliseconds since the epoch. */
  get lostAt(): number {
    return this.#awaySince + lostAfterMs;
  }

  /** Only while there is a session. */
  open(request: OpenRequest, listener: ClientCallListener): ClientCall {
    return ClientCall.open(this.#target(), request, listener);
  }

  /** Only while there is a session. */
  attach(request: AttachRequest, listener: ClientCallListener): ClientCall {
    return ClientCall.attach(this.#target(), request, listener);
  }

  /** The worker said itself that it takes no more. */
  markLeaving(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#deps.changed();
  }

  /** The address is named no longer. */
  retire(): void {
    if (this.#retiring) return;
    this.#retiring = true;
    this.#deps.changed();
    if (!this.#session || this.#session.size === 0) void this.close();
  }

  /** The address is named (again). */
  keep(): void {
    if (!this.#retiring) return;
    this.#retiring = false;
    this.#deps.changed();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#connection?.close();
    this.#deps.changed();
  }

  #target(): { session: Session; number: number } {
    const session = this.#session;
    if (!session) throw new TypeError("link has no session");
    do this.#lastNumber = this.#lastNumber === 0xffffffff ? 1 : this.#lastNumber + 1;
    while (session.has(this.#lastNumber));
    return { session, number: this.#lastNumber };
  }

  #connect(): void {
    const { peer, credentials, metadata, creditBytes, keepaliveMs, logger } = this.#deps;
    const hello: Hello__Output = {
      version: sessionVersion,
      peerKind: peer.kind,
      peerId: peer.id,
      epoch: this.#ownEpoch,
      creditBytes,
    };
    this.#connection = connectSession(
      { endpoint: this.endpoint, credentials, metadata, hello, keepaliveMs },
      {
        ready: (session, workerHello) => this.#becameReady(session, workerHello),
        frame: (frame) => this.#sessionFrame(frame),
        idle: () => this.#becameIdle(),
        fault: (error) => logger.error({ err: error, worker: this.endpoint.target }, "call handling failed"),
        lost: (loss) => this.#lost(loss),
      },
    );
  }

  #becameReady(session: Session, hello: Hello__Output): void {
    this.#session = session;
    metrics.sessions.inc();
    this.#epoch = hello.epoch;
    this.#failures = 0;
    this.#lastNumber = 0;
    this.#lastLog = { detail: "", at: 0 };
    this.#deps.logger.info({ worker: this.endpoint.target, workerId: hello.peerId }, "session opened");
    this.#deps.changed();
  }

  #sessionFrame(frame: Frame__Output): void {
    if (frame.drain) this.markLeaving();
    else if (frame.load !== undefined) this.#load = frame.load;
    // Anything else is a late frame of a call that is over here.
  }

  #becameIdle(): void {
    // Not at once: whoever ended the last call may be about to read what it left.
    if (this.#retiring) setImmediate(() => this.#closeIfUnused());
  }

  #closeIfUnused(): void {
    if (this.#retiring && (this.#session?.size ?? 0) === 0) void this.close();
  }

  #lost(loss: SessionLoss): void {
    const hadSession = this.#session !== undefined;
    if (hadSession) metrics.sessions.dec();
    if (hadSession && !this.#leaving && !this.#retiring && !this.#closed) metrics.workersLostTotal.inc();
    this.#session = undefined;
    this.#connection = undefined;
    this.#load = 0;
    this.#leaving = false;
    if (hadSession) this.#awaySince = Date.now();
    this.#gone = !hadSession && loss.reason === "gone";
    if (this.#retiring) this.#closed = true;
    if (!this.#closed) {
      this.#report(loss);
      this.#retry = setTimeout(() => this.#connect(), hadSession ? 0 : this.#backoff());
    }
    this.#deps.changed();
  }

  #backoff(): number {
    const limit = Math.min(backoffMaxMs, backoffBaseMs * 2 ** this.#failures++);
    return limit / 2 + (Math.random() * limit) / 2;
  }

  #report(loss: SessionLoss): void {
    const { detail } = loss;
    if (detail === this.#lastLog.detail && Date.now() - this.#lastLog.at < repeatLogMs) return;
    this.#lastLog = { detail, at: Date.now() };
    const fields = { worker: this.endpoint.target, reason: loss.reason, detail };
    if (loss.reason === "refused") this.#deps.logger.error(fields, "worker refuses this session: check workers.token");
    else this.#deps.logger.warn(fields, "no session with worker");
  }
}
