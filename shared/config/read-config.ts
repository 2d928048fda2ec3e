import type { FileShape, Members } from "./file-shape.ts";
import { readKey, readOidc } from "./read-identities.ts";
import { readModels, readProviders } from "./read-providers.ts";
import type { RedisConfig, SluiceConfig, TlsConfig, WorkersConfig } from "./schema.ts";
import { readSection } from "./section.ts";
import * as sections from "./sections.ts";

/** A file without faults as the configuration that the processes use. */
export function readConfig(file: FileShape, secrets: "keep" | "drop"): SluiceConfig {
  const server = readSection(sections.serverFields, file.server);
  const providers = readProviders(file, secrets);
  return {
    server: { ...server, publicUrl: server.publicUrl.replace(/\/+$/, "") },
    redis: readRedis(file.redis ?? {}),
    workers: workersOf(file),
    providers,
    models: readModels(file, providers),
    keys: (file.keys ?? []).map(readKey),
    oidc: (file.oidc ?? []).map(readOidc),
    engine: readSection(sections.engineFields, file.engine),
    queue: readSection(sections.queueFields, file.queue),
    jobs: readSection(sections.jobsFields, file.jobs),
    lanes: readSection(sections.lanesFields, file.lanes),
    trace: readSection(sections.traceFields, file.trace),
    usage: readSection(sections.usageFields, file.usage),
    outcomes: readSection(sections.outcomesFields, file.outcomes),
    events: readSection(sections.eventsFields, file.events),
    batches: readSection(sections.batchesFields, file.batches),
    ops: readSection(sections.opsFields, file.ops),
    log: readSection(sections.logFields, file.log),
  };
}

function readRedis(written: Members): RedisConfig {
  const encryptionKey = written["encryption_key"] as string | undefined;
  // An empty one is an unset variable with an empty default: no encryption.
  return { ...readSection(sections.redisFields, written), ...(encryptionKey ? { encryptionKey } : {}) };
}

/** Where workers are and listen, of a file that may have faults elsewhere. */
export function workersOf({ workers: written = {} }: Pick<FileShape, "workers">): WorkersConfig {
  const tls = written["tls"] as TlsConfig | undefined;
  return { ...readSection(sections.workersFields, written), ...(tls ? { tls: { ...tls } } : {}) };
}
