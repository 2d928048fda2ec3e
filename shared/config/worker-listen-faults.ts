import type { Fault } from "./config-error.ts";
import type { WorkersConfig } from "./schema.ts";

const loopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\]|::1)$/;

/** A worker holds the providers' keys: beyond loopback and unix sockets it listens only when callers have to show something. */
export function workerListenFaults(workers: WorkersConfig): Fault[] {
  if (workers.listen.startsWith("unix:")) return [];
  const host = workers.listen.slice(0, workers.listen.lastIndexOf(":"));
  if (loopback.test(host) || workers.token !== "" || workers.tls) return [];
  const message = "a worker that listens beyond loopback needs workers.token (SLUICE_WORKER_TOKEN) or workers.tls";
  return [{ at: ["workers", "listen"], message }];
}
