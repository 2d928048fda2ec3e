import { loadConfig, reloadKeys } from "#shared/config/load-config.ts";
import { configOrExit } from "#shared/runtime/config-or-exit.ts";
import { runService } from "#shared/runtime/run-service.ts";
import { startGateway, type Gateway } from "./start-gateway.ts";

const options = { process: "gateway" } as const;
const config = configOrExit(() => loadConfig(process.env, options));
let gateway: Gateway | undefined;

await runService(
  "gateway",
  async (context) => {
    gateway = await startGateway(config, context);
    return gateway.service;
  },
  {
    ops: { host: config.ops.host, port: config.ops.gateway },
    drainMs: config.server.drainMs,
    logLevel: config.log.level,
    reload: () => gateway?.useKeys(reloadKeys(config, process.env, options)),
  },
);
