import { readFileSync } from "node:fs";
import { checkFile } from "./check-file.ts";
import { ConfigError } from "./config-error.ts";
import { isAbsent } from "./environment.ts";
import type { Environment } from "./interpolate.ts";
import { parseFile } from "./parse-file.ts";
import { readConfig } from "./read-config.ts";
import type { ServiceName, SluiceConfig } from "./schema.ts";

export interface LoadOptions {
  /**
   * Who asks. A worker must have the providers' keys, and no gateway or dispatcher gets to see them; a gateway must
   * have the callers' keys. Without it nothing is left out, and a provider's key may be missing.
   */
  readonly process?: ServiceName;
}

/**
 * The configuration from the file that SLUICE_CONFIG names and the environment, or from the environment alone. Frozen.
 * Throws a ConfigError with every fault.
 */
export function loadConfig(environment: Environment, { process }: LoadOptions = {}): SluiceConfig {
  const file = environment["SLUICE_CONFIG"] ?? "";
  try {
    const written = checkFile(parseFile(file === "" ? "" : readText(file)), environment, process);
    const secrets = process === "gateway" || process === "dispatcher" || process === "simulator" ? "drop" : "keep";
    return deepFreeze(readConfig(written, secrets));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.faults, file);
  }
}

/** Whether the file says which providers there are; without any the environment does. */
export function namesProviders(environment: Environment): boolean {
  const file = environment["SLUICE_CONFIG"] ?? "";
  return file !== "" && !isAbsent((parseFile(readText(file)) as { readonly providers?: unknown }).providers);
}

/** The same configuration with the callers' keys as they are written now. Throws a ConfigError when anything is wrong. */
export function reloadKeys(config: SluiceConfig, environment: Environment, options: LoadOptions = {}): SluiceConfig {
  const { keys, oidc } = loadConfig(environment, options);
  return Object.freeze({ ...config, keys, oidc });
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "no reason given";
    const isMissing = code === "ENOENT";
    const message = isMissing
      ? "there is no such file, and SLUICE_CONFIG names it"
      : `the file cannot be read (${code})`;
    throw new ConfigError([{ path: "", message }]);
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}
