import { join } from "node:path";
import { credentials, loadPackageDefinition, type Metadata } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { ProtoGrpcType } from "#proto/health.ts";
import type { HealthCheckResponse__Output } from "#proto/grpc/health/v1/HealthCheckResponse.ts";

/** An ordinary client of `grpc.health.v1.Health`. */
export interface HealthProbe {
  /** The status, or the code that the call fails with. */
  check(service: string, metadata?: Metadata): Promise<string | number>;
  /** What is heard from now on; at last `end`, or the code that it failed with. */
  watch(service: string, metadata?: Metadata): { readonly heard: readonly (string | number)[]; leave(): void };
  close(): void;
}

const deadlineMs = 10_000;

export function connectHealth(address: string, usual: Metadata): HealthProbe {
  const file = join(import.meta.dirname, "../../proto/grpc/health/v1/health.proto");
  const definition = loadSync(file, { longs: Number, enums: String, defaults: true, oneofs: true });
  const { Health } = (loadPackageDefinition(definition) as unknown as ProtoGrpcType).grpc.health.v1;
  const client = new Health(address, credentials.createInsecure());
  return {
    check: (service, metadata = usual) =>
      new Promise((resolve) => {
        client.check({ service }, metadata, { deadline: Date.now() + deadlineMs }, (error, answer) =>
          resolve(error ? error.code : (answer?.status ?? "nothing")),
        );
      }),
    watch(service, metadata = usual) {
      const heard: (string | number)[] = [];
      const stream = client.watch({ service }, metadata);
      stream.on("data", (answer: HealthCheckResponse__Output) => heard.push(answer.status));
      stream.on("end", () => heard.push("end"));
      stream.on("error", (error: { readonly code: number }) => heard.push(error.code));
      return { heard, leave: () => stream.cancel() };
    },
    close: () => client.close(),
  };
}
