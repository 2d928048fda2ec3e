import type { PathPart } from "./config-error.ts";
import type { Environment } from "./interpolate.ts";

interface Override {
  readonly variable: string;
  readonly path: readonly [string, string];
  /** `file`: what the file says goes before the variable. */
  readonly before: "file" | "variable";
}

/** The variables that set members by themselves; every other one has to be named in the file. */
const overrides: readonly Override[] = [
  { variable: "PORT", path: ["server", "port"], before: "variable" },
  { variable: "SLUICE_HOST", path: ["server", "host"], before: "variable" },
  { variable: "REDIS_URL", path: ["redis", "url"], before: "file" },
  { variable: "SLUICE_WORKERS", path: ["workers", "address"], before: "variable" },
  { variable: "SLUICE_WORKER_LISTEN", path: ["workers", "listen"], before: "variable" },
  { variable: "SLUICE_WORKER_TOKEN", path: ["workers", "token"], before: "variable" },
  { variable: "SLUICE_LOG_LEVEL", path: ["log", "level"], before: "variable" },
  { variable: "SLUICE_OPS_HOST", path: ["ops", "host"], before: "variable" },
  // Whichever process this is, it reads its own.
  { variable: "SLUICE_OPS_PORT", path: ["ops", "gateway"], before: "variable" },
  { variable: "SLUICE_OPS_PORT", path: ["ops", "dispatcher"], before: "variable" },
  { variable: "SLUICE_OPS_PORT", path: ["ops", "worker"], before: "variable" },
  { variable: "SLUICE_OPS_PORT", path: ["ops", "simulator"], before: "variable" },
];

export interface SetMember {
  readonly variable: string;
  readonly path: readonly PathPart[];
}

type Mapping = Record<string, unknown>;

/** Puts what the environment says into a tree; gives the members that came from there, so that faults can name it. */
export function applyEnvironment(tree: Mapping, environment: Environment): SetMember[] {
  const set: SetMember[] = [];
  const put = (variable: string, path: readonly string[], value: unknown): void => {
    if (putMember(tree, path, value)) set.push({ variable, path });
  };
  for (const { variable, path, before } of overrides) {
    const value = environment[variable];
    if (value && (before === "variable" || !hasMember(tree, path))) put(variable, path, value);
  }
  if (isAbsent(tree["keys"]) && environment["SLUICE_KEY"])
    put("SLUICE_KEY", ["keys"], [{ name: "default", key: environment["SLUICE_KEY"] }]);
  if (isAbsent(tree["providers"])) {
    const variable = environment["ANTHROPIC_API_KEY"] ? "ANTHROPIC_API_KEY" : "SLUICE_SIMULATOR_URL";
    put(variable, ["providers"], defaultProviders(environment));
  }
  return set;
}

/** Anthropic when there is a key for it, else the simulator twice, so that failing over can be seen. */
function defaultProviders(environment: Environment): Mapping {
  const apiKey = environment["ANTHROPIC_API_KEY"];
  if (apiKey) return { anthropic: { type: "anthropic", api_key: apiKey } };
  const url = environment["SLUICE_SIMULATOR_URL"] || "http://127.0.0.1:9100";
  const simulator = { type: "anthropic", base_url: url, threads: true };
  return { simulator: { ...simulator, api_key: "sim-1" }, "simulator-2": { ...simulator, api_key: "sim-2" } };
}

/** Not written, or written without anything in it: the environment may say it. */
export function isAbsent(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasMember(tree: Mapping, [section, name]: readonly [string, string]): boolean {
  const members = tree[section];
  return isMapping(members) && members[name] !== undefined;
}

/** False when the place is not a mapping: that is a fault of its own. */
function putMember(tree: Mapping, path: readonly string[], value: unknown): boolean {
  const [first = "", second] = path;
  if (second === undefined) {
    tree[first] = value;
    return true;
  }
  const members = tree[first] ?? {};
  if (!isMapping(members)) return false;
  tree[first] = { ...members, [second]: value };
  return true;
}
