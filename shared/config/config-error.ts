export interface ConfigFault {
  /** As in the file: `providers.second.base_url`, `keys[0].name`; or the environment variable. Empty: the file itself. */
  readonly path: string;
  /** Never quotes a value: it may be a secret. */
  readonly message: string;
}

/** The configuration cannot be used; its message lists every fault. */
export class ConfigError extends Error {
  readonly faults: readonly ConfigFault[];

  /** `file` is how its readers know the file. */
  constructor(faults: readonly ConfigFault[], file = "") {
    super(describeFaults(faults, file));
    this.name = "ConfigError";
    this.faults = faults;
  }
}

/** Members are lower case in the file; where only variables are at fault, the file is not to blame. */
const variable = /^[A-Z][A-Z0-9_]*$/;

function describeFaults(faults: readonly ConfigFault[], file: string): string {
  const isOfFile = file !== "" && faults.some(({ path }) => !variable.test(path));
  const count = faults.length === 1 ? "a fault" : `${faults.length} faults`;
  const lines = faults.map(({ path, message }) => `  ${path === "" ? message : `${path}: ${message}`}`);
  return [`${isOfFile ? file : "The configuration"} has ${count}:`, ...lines].join("\n");
}

export type PathPart = string | number;

/** A fault while the path is still in parts. */
export interface Fault {
  readonly at: readonly PathPart[];
  readonly message: string;
  /** What is wrong, where its own name is not to be told. */
  readonly unnamed?: PathPart;
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
