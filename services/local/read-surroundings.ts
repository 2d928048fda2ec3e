import { access } from "node:fs/promises";
import { relative, resolve } from "node:path";
import { ConfigError, type ConfigFault } from "#shared/config/config-error.ts";
import { loadConfig, namesProviders } from "#shared/config/load-config.ts";
import { hashKey } from "#shared/config/read-identities.ts";
import type { SluiceConfig } from "#shared/config/schema.ts";
import { createCatalogue } from "#shared/routing/catalogue.ts";
import { callerDoubts, modelDoubts, providerDoubts, type ConfigDoubt } from "#shared/routing/config-doubts.ts";

export type Environment = Readonly<Record<string, string>>;

/** What the environment and the config file leave open, and what they settle. */
export interface Surroundings {
  /** Absolute; undefined: there is none. */
  readonly configFile: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** A Redis that is named; undefined: one of our own is to be started. */
  readonly redisUrl: string | undefined;
  /** Whether calls go to the simulator at the URL that was offered. */
  readonly usesSimulator: boolean;
  /** The providers' hosts. */
  readonly hosts: readonly string[];
  /** Whether the config file says which providers there are; else the environment does. */
  readonly namesProviders: boolean;
  /** Whether callers' keys are configured. */
  readonly hasKeys: boolean;
  /** Of configured keys and issuers; without keys that are disabled or have expired. */
  readonly keyNames: readonly string[];
  /** SLUICE_KEY, if it is one of them: of the others only the hashes are known. */
  readonly knownKey: string | undefined;
  /** A model that can be called. */
  readonly model: string;
  /** What the configuration allows and hardly means. */
  readonly doubts: readonly ConfigDoubt[];
  /** What open calls are given to finish when everything ends. */
  readonly drainMs: number;
}

/** Would-be values of what only this start can give; whether the configuration takes them shows what it leaves open. */
export interface Offers {
  readonly redisUrl: string;
  readonly simulatorUrl: string;
}

/** The README's. */
const usualModel = "claude-sonnet-5-5";

/** Loads the configuration as the children will see it. Throws a ConfigError with every fault. */
export async function readSurroundings(env: Environment, cwd: string, offers: Offers): Promise<Surroundings> {
  const configFile = await findConfigFile(env["SLUICE_CONFIG"], cwd);
  const seen = {
    REDIS_URL: offers.redisUrl,
    SLUICE_SIMULATOR_URL: offers.simulatorUrl,
    ...env,
    ...(configFile === undefined ? {} : { SLUICE_CONFIG: configFile }),
  };
  const config = loadAsEverybody(
    seen,
    configFile?.startsWith(`${cwd}/`) ? relative(cwd, configFile) : (configFile ?? ""),
  );
  const { host, port, publicUrl } = config.server;
  const models = createCatalogue(config).list();
  const usable = config.keys.filter(({ disabled, expiresAt }) => !disabled && (expiresAt ?? Infinity) > Date.now());
  return {
    configFile,
    host,
    port,
    url: publicUrl === "" ? `http://${callableHost(host)}:${port}` : publicUrl,
    redisUrl: config.redis.url === offers.redisUrl ? undefined : config.redis.url,
    usesSimulator: Object.values(config.providers).some(({ baseUrl }) => isAt(baseUrl, offers.simulatorUrl)),
    hosts: [...new Set(Object.values(config.providers).map(({ baseUrl }) => new URL(baseUrl).host))],
    namesProviders: namesProviders(seen),
    hasKeys: config.keys.length > 0 || config.oidc.length > 0,
    keyNames: [...usable, ...config.oidc].map(({ name }) => name),
    doubts: [...providerDoubts(config), ...modelDoubts(config), ...callerDoubts(config)],
    drainMs: config.server.drainMs,
    knownKey: usable.some(({ sha256 }) => sha256 === hashKey(env["SLUICE_KEY"] ?? "")) ? env["SLUICE_KEY"] : undefined,
    model: (models.find(({ name }) => name === usualModel) ?? models[0])?.name ?? usualModel,
  };
}

/** What only a worker insists on, providers' keys above all, had better be known before anything is started. */
function loadAsEverybody(env: Environment, fileName: string): SluiceConfig {
  const faults: ConfigFault[] = [];
  const note = (load: () => SluiceConfig): SluiceConfig | undefined => {
    try {
      return load();
    } catch (reason) {
      if (!(reason instanceof ConfigError)) throw reason;
      const known = new Set(faults.map(({ path, message }) => `${path}: ${message}`));
      faults.push(...reason.faults.filter(({ path, message }) => !known.has(`${path}: ${message}`)));
      return undefined;
    }
  };
  const config = note(() => loadConfig(env));
  note(() => loadConfig({ ...env, SLUICE_WORKER_LISTEN: "127.0.0.1:1" }, { process: "worker" }));
  if (config === undefined || faults.length > 0) throw new ConfigError(faults, fileName);
  return config;
}

async function findConfigFile(named: string | undefined, cwd: string): Promise<string | undefined> {
  if (named !== undefined && named !== "") return resolve(cwd, named);
  const usual = resolve(cwd, "sluice.yaml");
  return await access(usual).then(
    () => usual,
    () => undefined,
  );
}

function callableHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}

/** Some wires have a path of their own at the same address. */
function isAt(baseUrl: string, url: string): boolean {
  return new URL(baseUrl).origin === url;
}
