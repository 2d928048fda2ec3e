import type { WorkerCall } from "#shared/messages/call.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { TlsConfig } from "#shared/config/schema.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { channelCredentials, tokenMetadata } from "./credentials.ts";
import { findHeldCall } from "./find-held-call.ts";
import { invokeCall, type InvokeOptions } from "./invoke-call.ts";
import type { LookupHost } from "./resolve-addresses.ts";
import { openStream, type StreamHandle, type StreamReceiver } from "./stream-call.ts";
import { supersededError } from "./superseded.ts";
import { createWorkerLinks, type WorkerLinks } from "./worker-links.ts";

export interface WorkerPoolOptions {
  /** `workers.address`: `dns:///worker:50051`, `ipv4:a:p,b:p`, `unix:/path`, `host:port`. */
  readonly address: string;
  readonly token: string;
  readonly tls?: TlsConfig | undefined;
  readonly peer: { readonly kind: "gateway" | "dispatcher"; readonly id: string };
  readonly logger: Logger;
  /** How often the address is resolved; 5 s. */
  readonly resolveEveryMs?: number;
  /** What a worker may send of one call before it is consumed; 256 KiB. Bandwidth times round trip, if that is more. */
  readonly creditBytes?: number;
  /** A silent session is probed this often, and given up 5 s later; 10 s. */
  readonly keepaliveMs?: number;
  /** The addresses of a host name; the system's resolver. */
  readonly lookupHost?: LookupHost;
}

/** The workers, as a gateway or dispatcher sees them. */
export interface WorkerPool {
  /**
   * Whole answers and counts. Sees the call through the loss of workers; see invokeCall. Rejects with GatewayError
   * `overloaded` (no worker, or lost for the last time) or `cancelled` (the signal, or taken over: isSuperseded).
   */
  invoke(call: WorkerCall, options: InvokeOptions): Promise<Outcome>;
  /** Streams. A lost worker is the receiver's to deal with. */
  stream(call: WorkerCall, receiver: StreamReceiver, options: { readonly signal: AbortSignal }): StreamHandle;
  /**
   * Asks every worker who holds the call, takes it over and waits for its outcome. Undefined: nobody holds it, or its
   * worker was lost meanwhile. Rejects like `invoke`.
   */
  attach(
    callId: string,
    options: { readonly delivery: number; readonly signal: AbortSignal },
  ): Promise<Outcome | undefined>;
  /** Workers that take calls. */
  readonly size: number;
  /** Resolves once there is one; rejects with `cancelled` when the signal aborts. */
  ready(signal: AbortSignal): Promise<void>;
  /** Ends every session. Calls that still run end as with a lost worker; `keepOrphan` ones stay with theirs. */
  close(): Promise<void>;
}

/** Connects at once, in the background. Throws TypeError when the address cannot be understood. */
export function createWorkerPool(options: WorkerPoolOptions): WorkerPool {
  const links = createWorkerLinks({
    address: options.address,
    resolveEveryMs: options.resolveEveryMs ?? 5000,
    lookupHost: options.lookupHost,
    peer: options.peer,
    credentials: channelCredentials(options.tls),
    metadata: tokenMetadata(options.token),
    creditBytes: options.creditBytes ?? 256 * 1024,
    keepaliveMs: options.keepaliveMs ?? 10_000,
    logger: options.logger,
  });
  return {
    invoke: (call, invokeOptions) => invokeCall(call, invokeOptions, links),
    stream: (call, receiver, { signal }) => openStream(call, receiver, { signal, links }),
    attach: (callId, { delivery, signal }) => attachCall({ callId, delivery }, signal, links),
    get size() {
      return links.active.length;
    },
    async ready(signal) {
      const link = await links.wait(() => links.pick(), { signal });
      if (!link) throw new GatewayError("cancelled", "The connections to the workers were closed.");
    },
    close: () => links.close(),
  };
}

async function attachCall(
  request: { callId: string; delivery: number },
  signal: AbortSignal,
  links: WorkerLinks,
): Promise<Outcome | undefined> {
  for (;;) {
    const result = await findHeldCall(request, signal, links);
    if (result.kind === "outcome") {
      result.release?.();
      return result.outcome;
    }
    if (result.kind === "unknown") return undefined;
    if (result.kind === "superseded") throw supersededError();
    if (result.kind !== "lost") throw new GatewayError("internal", "Internal gateway error.");
  }
}
