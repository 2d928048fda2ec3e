import { loadConfig } from "#shared/config/load-config.ts";
import { configOrExit } from "#shared/runtime/config-or-exit.ts";
import { runService } from "#shared/runtime/run-service.ts";
import { startWorker, type Worker } from "./start-worker.ts";

const options = { process: "worker" } as const;
const config = configOrExit(() => loadConfig(process.env, options));
let worker: Worker | undefined;

await runService(
  "worker",
  async (context) => {
    worker = await startWorker(config, context);
    return worker.service;
  },
  {
    ops: { host: config.ops.host, port: config.ops.worker },
    drainMs: config.server.drainMs,
    logLevel: config.log.level,
    reload: () => worker?.useBetas(loadConfig(process.env, options)),
  },
);
