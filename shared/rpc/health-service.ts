import { loadPackageDefinition, status, type Metadata, type Server, type ServerDuplexStream } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { ProtoGrpcType } from "#proto/health.ts";
import type { HealthCheckRequest__Output } from "#proto/grpc/health/v1/HealthCheckRequest.ts";
import type { HealthCheckResponse } from "#proto/grpc/health/v1/HealthCheckResponse.ts";
import { loaderOptions } from "./loader-options.ts";
import { protoDirectory } from "./worker-proto.ts";

export interface HealthServiceOptions {
  /** The full name of the service that is served beside it. */
  readonly service: string;
  readonly knowsToken: (metadata: Metadata) => boolean;
}

/** `grpc.health.v1.Health` of this process. */
export interface HealthService {
  addTo(server: Server): void;
  /** From now on NOT_SERVING; whoever watches is told at once. */
  leave(): void;
  /** Ends what is watched. */
  close(): void;
}

type HealthStream = ServerDuplexStream<HealthCheckRequest__Output, HealthCheckResponse>;

/** Beyond these nobody is answered: a probe asks once, and a balancer watches once a process. */
const mostStreams = 256;

/**
 * Probes have no token, so anybody is answered. Who does not know it is told of the whole process whatever was asked:
 * not a byte of a stranger's request is read.
 */
export function createHealthService({ service, knowsToken }: HealthServiceOptions): HealthService {
  const names = new Set(["", service]);
  const streams = new Set<HealthStream>();
  const watchers = new Set<HealthStream>();
  let current: "SERVING" | "NOT_SERVING" = "SERVING";

  const serve = (answer: (stream: HealthStream, name: string) => void) => (stream: HealthStream) => {
    if (streams.size >= mostStreams) return refuse(stream, status.RESOURCE_EXHAUSTED, "too many ask at a time");
    streams.add(stream);
    stream.once("close", () => {
      streams.delete(stream);
      watchers.delete(stream);
    });
    if (!knowsToken(stream.metadata)) return answer(stream, "");
    let isAsked = false;
    stream.on("data", (request: HealthCheckRequest__Output) => {
      if (!isAsked) answer(stream, request.service);
      isAsked = true;
    });
    stream.on("end", () => {
      if (!isAsked) refuse(stream, status.INVALID_ARGUMENT, "nothing was asked");
    });
    return undefined;
  };
  const check = serve((stream, name) => {
    if (!names.has(name)) return refuse(stream, status.NOT_FOUND, "no such service");
    stream.write({ status: current });
    stream.end();
    return undefined;
  });
  const watch = serve((stream, name) => {
    const isKnown = names.has(name);
    stream.write({ status: isKnown ? current : "SERVICE_UNKNOWN" });
    if (isKnown) watchers.add(stream);
  });
  return {
    addTo: (server) => server.addService(healthDefinition(), { check, watch }),
    leave() {
      if (current === "NOT_SERVING") return;
      current = "NOT_SERVING";
      for (const stream of watchers) stream.write({ status: current });
    },
    close() {
      for (const stream of streams) stream.end();
    },
  };
}

function refuse(stream: HealthStream, code: status, details: string): void {
  stream.emit("error", { code, details });
}

/** As streams both ways, which look the same on the wire: a handler sees a stream before its request has been read. */
function healthDefinition() {
  const definition = loadSync("grpc/health/v1/health.proto", { ...loaderOptions, includeDirs: [protoDirectory] });
  // grpc-js cannot know the schema; the generated type is the one statement of what it holds.
  const { Check, Watch } = (loadPackageDefinition(definition) as unknown as ProtoGrpcType).grpc.health.v1.Health
    .service;
  const streams = { requestStream: true, responseStream: true };
  return { check: { ...Check, ...streams }, watch: { ...Watch, ...streams } };
}
