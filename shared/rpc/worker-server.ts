import { randomUUID } from "node:crypto";
import { Server, status } from "@grpc/grpc-js";
import type { TlsConfig } from "#shared/config/schema.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import { acceptSession, type AcceptedSession, type AcceptOptions, type SessionStream } from "./accept-session.ts";
import { bindAddress } from "./bind-address.ts";
import { createCallBook } from "./call-book.ts";
import type { CallHandler } from "./call-handler.ts";
import { assertGuarded, createTokenCheck, serverCredentials } from "./credentials.ts";
import { sessionVersion } from "./frames.ts";
import { createHealthService } from "./health-service.ts";
import { sessionService, sessionServiceName } from "./worker-proto.ts";

export type { CallContext, CallHandler, StreamSink } from "./call-handler.ts";

export interface WorkerServerOptions {
  /** `host:port` (port 0: any free one) or `unix:/path`. */
  readonly listen: string;
  readonly token: string;
  readonly tls?: TlsConfig | undefined;
  readonly handler: CallHandler;
  readonly logger: Logger;
  /** This start of the worker; random if absent. */
  readonly epoch?: string;
  /** How long a call without its session, and its outcome, is kept for somebody to attach; 60 s. */
  readonly orphanMs?: number;
  /** What a client may send of one call's body ahead; 256 KiB. */
  readonly creditBytes?: number;
  /** A silent session is probed this often, and given up 5 s later; 10 s. */
  readonly keepaliveMs?: number;
}

export interface WorkerServer {
  /** What clients connect to, the bound port in it. */
  readonly address: string;
  /** Calls that run, orphans included. */
  readonly calls: number;
  /**
   * Takes no more calls and tells every client so. Resolves once none runs and their outcomes have arrived (an orphan's
   * is waited for 3 s), or when the signal aborts.
   */
  drain(signal: AbortSignal): Promise<void>;
  /** Ends all sessions; what still runs is cancelled. */
  close(): Promise<void>;
}

const loadReportMs = 250;
const undeliveredGraceMs = 3000;
const keepaliveTimeoutMs = 5000;
const closeGraceMs = 300;

/** Rejects when it cannot listen, or when it would listen to other machines unguarded. */
export async function startWorkerServer(options: WorkerServerOptions): Promise<WorkerServer> {
  const { listen, token, tls, logger } = options;
  assertGuarded(listen, { token, tls });
  const book = createCallBook();
  const sessions = createSessionTable();
  const accept = acceptOptions(options, book);
  const knowsToken = createTokenCheck(token);
  const health = createHealthService({ service: sessionServiceName, knowsToken });
  let draining = false;
  const server = new Server(serverOptions(options.keepaliveMs ?? 10_000));
  server.addService(sessionService(), {
    session: (stream: SessionStream) => {
      if (!knowsToken(stream.metadata)) {
        logger.warn({ peer: stream.getPeer() }, "session refused: wrong token");
        stream.emit("error", { code: status.UNAUTHENTICATED, details: "wrong or missing workers.token" });
        return;
      }
      acceptSession(stream, accept, {
        greeted(accepted) {
          sessions.add(accepted);
          if (draining) accepted.calls.drain();
        },
        gone: (accepted) => sessions.remove(accepted),
      });
    },
  });
  health.addTo(server);
  const address = await bindAddress(server, listen, serverCredentials(tls));
  const load = setInterval(() => sessions.each(({ calls }) => calls.reportLoad(book.running)), loadReportMs);
  load.unref();
  return {
    address,
    get calls() {
      return book.running;
    },
    async drain(signal) {
      draining = true;
      health.leave();
      sessions.each(({ calls }) => calls.drain());
      await book.drained(signal, undeliveredGraceMs);
    },
    async close() {
      draining = true;
      health.leave();
      health.close();
      clearInterval(load);
      sessions.each((session) => session.end());
      for (const [, answer] of book.answers) answer.drop();
      await shutDown(server);
    },
  };
}

function acceptOptions(options: WorkerServerOptions, book: ReturnType<typeof createCallBook>): AcceptOptions {
  const { handler, logger, epoch = randomUUID(), orphanMs = 60_000, creditBytes = 256 * 1024 } = options;
  const hello = { version: sessionVersion, peerKind: "worker", peerId: epoch, epoch, creditBytes };
  const onFault = (error: unknown, callId: string): void => logger.error({ err: error, callId }, "call failed");
  return { handler, book, orphanMs, onFault, hello };
}

function serverOptions(keepaliveMs: number): Record<string, number> {
  return {
    "grpc.keepalive_time_ms": keepaliveMs,
    "grpc.keepalive_timeout_ms": keepaliveTimeoutMs,
    "grpc.enable_channelz": 0,
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  };
}

interface SessionTable {
  /** A session of the same client and epoch that is still there has lost its client unnoticed: it is ended. */
  add(session: AcceptedSession): void;
  remove(session: AcceptedSession): void;
  each(act: (session: AcceptedSession) => void): void;
}

function createSessionTable(): SessionTable {
  const sessions = new Set<AcceptedSession>();
  return {
    add(session) {
      for (const other of sessions) {
        if (other.client?.peerId === session.client?.peerId && other.client?.epoch === session.client?.epoch)
          other.end();
      }
      sessions.add(session);
      metrics.sessions.inc();
    },
    remove(session) {
      if (sessions.delete(session)) metrics.sessions.dec();
    },
    each(act) {
      for (const session of sessions) act(session);
    },
  };
}

/** `tryShutdown` does not end while a session is open, so it gets a moment for the last frames and no more. */
function shutDown(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const grace = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, closeGraceMs);
    server.tryShutdown(() => {
      clearTimeout(grace);
      server.forceShutdown();
      resolve();
    });
  });
}
