import { status, type ServerDuplexStream, type StatusObject } from "@grpc/grpc-js";
import type { Frame__Output } from "#proto/worker/v1/Frame.ts";
import type { Hello__Output } from "#proto/worker/v1/Hello.ts";
import { sessionVersion, toHelloFrame } from "./frames.ts";
import { ServerSession } from "./server-session.ts";
import type { ServedCallDeps } from "./held-answer.ts";
import { Session } from "./session.ts";

export interface AcceptOptions extends ServedCallDeps {
  readonly hello: Hello__Output;
}

export interface AcceptListener {
  /** The client said who it is. */
  greeted(accepted: AcceptedSession): void;
  /** The end, once. Calls have been told before. */
  gone(accepted: AcceptedSession): void;
}

/** A session that a client has opened. */
export interface AcceptedSession {
  /** What its hello said; a session of the same peer and epoch replaces this one. */
  readonly client: Hello__Output | undefined;
  readonly calls: ServerSession;
  /** Sends what is queued and ends the stream. */
  end(): void;
}

export type SessionStream = ServerDuplexStream<Buffer, Buffer>;

const handshakeMs = 10_000;

/** Serves one client's stream until either side ends it. */
export function acceptSession(stream: SessionStream, options: AcceptOptions, listener: AcceptListener): void {
  let client: Hello__Output | undefined;
  let over = false;
  const close = (how: Partial<StatusObject> | undefined): void => {
    if (over) return;
    over = true;
    clearTimeout(handshake);
    session.break();
    if (how) stream.emit("error", how);
    else stream.end();
    listener.gone(accepted);
  };
  const onFrame = (frame: Frame__Output): void => {
    if (client) return calls.frame(frame);
    if (frame.hello?.version !== sessionVersion) {
      const details = `this worker speaks session version ${sessionVersion}`;
      return close({ code: status.FAILED_PRECONDITION, details });
    }
    clearTimeout(handshake);
    client = frame.hello;
    session.sendWindow = client.creditBytes;
    session.put(toHelloFrame(options.hello));
    listener.greeted(accepted);
  };
  const onFault = (error: unknown): void => options.onFault(error, "");
  const sessionListener = { frame: onFrame, idle: () => undefined, fault: onFault };
  const session = new Session(stream, sessionListener, options.hello.creditBytes);
  const calls = new ServerSession(session, options);
  const accepted: AcceptedSession = {
    get client() {
      return client;
    },
    calls,
    end() {
      session.flush();
      close(undefined);
    },
  };
  const noHello = { code: status.DEADLINE_EXCEEDED, details: "no hello in time" };
  const handshake = setTimeout(() => close(noHello), handshakeMs);
  stream.on("data", (message: Buffer) => {
    try {
      session.receive(message);
    } catch (error) {
      onFault(error);
      close({ code: status.INVALID_ARGUMENT, details: "unreadable message" });
    }
  });
  stream.on("drain", () => session.drained());
  stream.on("end", () => close(undefined));
  stream.on("close", () => close(undefined));
}
