import { loadConfig } from "#shared/config/load-config.ts";
import { configOrExit } from "#shared/runtime/config-or-exit.ts";
import { runService } from "#shared/runtime/run-service.ts";
import { startWorker } from "./start-worker.ts";

const config = configOrExit(() => loadConfig(process.env, { process: "worker" }));

await runService("worker", async (context) => (await startWorker(config, context)).service, {
  ops: { host: config.ops.host, port: config.ops.worker },
  drainMs: config.server.drainMs,
  logLevel: config.log.level,
});
