import { ConfigError } from "#shared/config/config-error.ts";

/** What `load` gives; when the configuration has faults, they are all printed to stderr and the process ends with 1. */
export function configOrExit<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return process.exit(1);
  }
}
