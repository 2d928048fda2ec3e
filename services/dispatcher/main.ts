import { loadConfig } from "#shared/config/load-config.ts";
import { configOrExit } from "#shared/runtime/config-or-exit.ts";
import { runService } from "#shared/runtime/run-service.ts";
import { startDispatcher } from "./start-dispatcher.ts";

const config = configOrExit(() => loadConfig(process.env, { process: "dispatcher" }));

await runService("dispatcher", (context) => startDispatcher(config, context), {
  ops: { host: config.ops.host, port: config.ops.dispatcher },
  drainMs: config.server.drainMs,
  logLevel: config.log.level,
});
