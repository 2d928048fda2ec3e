import { loadConfig } from "#shared/config/load-config.ts";
import { createCatalogue } from "#shared/routing/catalogue.ts";
import { configOrExit } from "#shared/runtime/config-or-exit.ts";
import { runService } from "#shared/runtime/run-service.ts";
import { readSimulatorConfig } from "./config.ts";
import { startSimulator } from "./simulator.ts";

const config = configOrExit(() => loadConfig(process.env, { process: "simulator" }));
const simulatorConfig = readSimulatorConfig(process.env);
const models = createCatalogue(config)
  .list()
  .map(({ info }) => info);

await runService(
  "simulator",
  async (context) => {
    const simulator = context.own(await startSimulator(simulatorConfig, models));
    context.logger.info({ url: simulator.url, models: models.length }, "simulating providers");
    return { ready: () => true, drain: (signal) => simulator.drain(signal) };
  },
  {
    ops: { host: config.ops.host, port: config.ops.simulator },
    drainMs: config.server.drainMs,
    logLevel: config.log.level,
  },
);
