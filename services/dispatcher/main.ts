import { loadConfig, reloadKeys } from "#shared/config/load-config.ts";
import { configOrExit } from "#shared/runtime/config-or-exit.ts";
import { runService } from "#shared/runtime/run-service.ts";
import { startDispatcher, type RunningDispatcher } from "./start-dispatcher.ts";

const options = { process: "dispatcher" } as const;
const config = configOrExit(() => loadConfig(process.env, options));
let dispatcher: RunningDispatcher | undefined;

await runService(
  "dispatcher",
  async (context) => {
    dispatcher = await startDispatcher(config, context);
    return dispatcher.service;
  },
  {
    ops: { host: config.ops.host, port: config.ops.dispatcher },
    drainMs: config.server.drainMs,
    logLevel: config.log.level,
    reload: () => dispatcher?.useBudgets(reloadKeys(config, process.env, options)),
  },
);
