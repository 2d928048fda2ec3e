export interface ConfigFault {
  /** As in the file: `providers.second.base_url`, `keys[0].name`; or the environment variable. Empty: the file itself. */
  readonly path: string;
  /** Never quotes a value: it may be a secret. */
  readonly message: string;
}

/** The configuration cannot be used; its message lists every fault. */
export class ConfigError extends Error {
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    super(describeFaults(faults));
    this.name = "ConfigError";
    this.faults = faults;
  }
}

function describeFaults(faults: readonly ConfigFault[]): string {
  const count = faults.length === 1 ? "a fault" : `${faults.length} faults`;
  const lines = faults.map(({ path, message }) => `  ${path === "" ? message : `${path}: ${message}`}`);
  return [`The configuration has ${count}:`, ...lines].join("\n");
}

export type PathPart = string | number;

/** A fault while the path is still in parts. */
export interface Fault {
  readonly at: readonly PathPart[];
  readonly message: string;
}

/** A path as people write it. */
export function formatPath(parts: readonly PathPart[]): string {
  let path = "";
  for (const part of parts) {
    if (typeof part === "number") path += `[${part}]`;
    else if (/^[A-Za-z0-9_-]+$/.test(part)) path += path === "" ? part : `.${part}`;
    else path += `[${JSON.stringify(part)}]`;
  }
  return path;
}
