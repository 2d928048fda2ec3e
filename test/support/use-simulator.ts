import { afterAll } from "vitest";

import { loadConfig } from "#shared/config/load-config.ts";
import { createCatalogue } from "#shared/routing/catalogue.ts";
import { startSimulator, type Simulator } from "../../services/simulator/simulator.ts";

/** A simulator of every current model for all tests of a file; it answers fast and has no limits of its own. */
export async function useSimulator(): Promise<Simulator> {
  const catalogue = createCatalogue(loadConfig({}));
  const models = catalogue.list().map(({ info }) => info);
  const pace = { ttftMs: 5, tokensPerSecond: 2000, tokensPerDelta: 2 };
  const options = { host: "127.0.0.1", port: 0, pace, keys: [], requestsPerMinute: 0 };
  const simulator = await startSimulator(options, models);
  afterAll(() => simulator.close());
  return simulator;
}
