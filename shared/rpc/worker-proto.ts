import { fileURLToPath } from "node:url";
import { loadPackageDefinition, logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { loadSync, type MessageTypeDefinition } from "@grpc/proto-loader";
import type { ProtoGrpcType } from "#proto/worker.ts";
import type { Frame, Frame__Output } from "#proto/worker/v1/Frame.ts";
import { loaderOptions } from "./loader-options.ts";

export interface WorkerProto {
  readonly frame: MessageTypeDefinition<Frame, Frame__Output>;
  readonly types: ProtoGrpcType["worker"]["v1"];
}

export const protoDirectory = fileURLToPath(new URL("../../proto", import.meta.url));

let loaded: WorkerProto | undefined;

/** The schema in `proto/`, read from disk at the first use. */
export function workerProto(): WorkerProto {
  loaded ??= load();
  return loaded;
}

function load(): WorkerProto {
  // grpc-js would write lines of its own to stderr; whatever they say comes as an error or a lost session too.
  setLogVerbosity(logVerbosity.NONE);
  const definition = loadSync("worker/v1/worker.proto", { ...loaderOptions, includeDirs: [protoDirectory] });
  // grpc-js cannot know the schema; the generated type is the one statement of what it holds.
  const types = (loadPackageDefinition(definition) as unknown as ProtoGrpcType).worker.v1;
  return { frame: types.Frame, types };
}

export const sessionServiceName = "worker.v1.WorkerService";

const same = (message: Buffer): Buffer => message;

/** The service as the sessions use it: they read and write frames themselves, so gRPC passes their bytes. */
export function sessionService() {
  const { path, requestStream, responseStream } = workerProto().types.WorkerService.service.Session;
  const bytes = {
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  return { session: { path, requestStream, responseStream, ...bytes } };
}
