import { Client, status, type ChannelCredentials, type ClientDuplexStream, type Metadata } from "@grpc/grpc-js";
import type { Frame__Output } from "#proto/worker/v1/Frame.ts";
import type { Hello__Output } from "#proto/worker/v1/Hello.ts";
import { sessionVersion, toHelloFrame } from "./frames.ts";
import type { Endpoint } from "./resolve-addresses.ts";
import { Session } from "./session.ts";
import { sessionService } from "./worker-proto.ts";

export interface ConnectOptions {
  readonly endpoint: Endpoint;
  readonly credentials: ChannelCredentials;
  readonly metadata: Metadata;
  readonly hello: Hello__Output;
  readonly keepaliveMs: number;
}

export interface ConnectListener {
  /** The worker said hello: calls can be given to the session. */
  ready(session: Session, hello: Hello__Output): void;
  /** A frame that belongs to no call. */
  frame(frame: Frame__Output): void;
  idle(): void;
  fault(error: unknown): void;
  /** The end, once, whether it had been ready or not. Channels' owners have been told before. */
  lost(loss: SessionLoss): void;
}

export interface SessionLoss {
  /** `gone`: nobody listens there, so the process is no more. `refused`: our token or version was not taken. */
  readonly reason: "ended" | "gone" | "refused" | "failed";
  readonly detail: string;
}

export interface Connection {
  /** Ends the session in order: what is queued still leaves. Resolves when the socket is closed. */
  close(): Promise<void>;
}

const handshakeMs = 5000;
const keepaliveTimeoutMs = 5000;
const closeGraceMs = 300;

/** Opens one stream to one worker. Never rejects or throws: whatever goes wrong comes as `lost`. */
export function connectSession(options: ConnectOptions, listener: ConnectListener): Connection {
  const client = new Client(options.endpoint.target, options.credentials, channelOptions(options));
  const { path, requestSerialize, responseDeserialize } = sessionService().session;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, options.metadata);
  const closed = Promise.withResolvers<void>();
  let over = false;
  const end = (loss: SessionLoss): void => {
    if (over) return;
    over = true;
    clearTimeout(handshake);
    session.break();
    stream.cancel();
    client.close();
    closed.resolve();
    listener.lost(loss);
  };
  const onFrame = (frame: Frame__Output): void => {
    if (!frame.hello) return listener.frame(frame);
    clearTimeout(handshake);
    session.sendWindow = frame.hello.creditBytes;
    if (frame.hello.version === sessionVersion) listener.ready(session, frame.hello);
    else end({ reason: "refused", detail: `worker speaks session version ${frame.hello.version}` });
  };
  const sessionListener = {
    frame: onFrame,
    idle: () => listener.idle(),
    fault: (error: unknown) => listener.fault(error),
  };
  const session = new Session(stream, sessionListener, options.hello.creditBytes);
  const handshake = setTimeout(() => end({ reason: "failed", detail: "no hello in time" }), handshakeMs);
  listen(stream, session, end);
  session.put(toHelloFrame(options.hello));
  session.flush();
  return {
    close() {
      session.flush();
      stream.end();
      const grace = setTimeout(() => end({ reason: "ended", detail: "closed by us" }), closeGraceMs);
      return closed.promise.finally(() => clearTimeout(grace));
    },
  };
}

function listen(stream: ClientDuplexStream<Buffer, Buffer>, session: Session, end: (loss: SessionLoss) => void): void {
  stream.on("data", (message: Buffer) => {
    try {
      session.receive(message);
    } catch (error) {
      end({ reason: "failed", detail: error instanceof Error ? error.message : "unreadable message" });
    }
  });
  stream.on("drain", () => session.drained());
  stream.on("end", () => end({ reason: "ended", detail: "ended by the worker" }));
  stream.on("error", (error: Error & { code?: number; details?: string }) => {
    // grpc-js ends its words with a note that is empty for whatever is not a missing name.
    const detail = (error.details ?? error.message).replace(/\s*Resolution note:\s*$/, "");
    end({ reason: reasonOf(error), detail });
  });
}

// grpc-js tells a refused connection from others in the text of its status only.
const nobodyListens = /ECONNREFUSED|ENOENT/;

function reasonOf(error: { code?: number; details?: string }): SessionLoss["reason"] {
  if (error.code === status.UNAUTHENTICATED || error.code === status.FAILED_PRECONDITION) return "refused";
  return nobodyListens.test(error.details ?? "") ? "gone" : "failed";
}

function channelOptions({ endpoint, keepaliveMs }: ConnectOptions): Record<string, number | string> {
  return {
    // The many bytes flow towards the client, the only side whose window can be set: 171 MB/s instead of 14.5 with
    // 2 ms of round trip.
    "grpc-node.flow_control_window": 4 * 1024 * 1024,
    "grpc.keepalive_time_ms": keepaliveMs,
    "grpc.keepalive_timeout_ms": keepaliveTimeoutMs,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.enable_retries": 0,
    "grpc.enable_channelz": 0,
    "grpc.enable_http_proxy": 0,
    "grpc.service_config_disable_resolution": 1,
    // Every try is a channel of its own, so that the link's back-off is the only one.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    // The address was resolved before, the certificate carries the name.
    "grpc.ssl_target_name_override": endpoint.serverName,
  };
}
