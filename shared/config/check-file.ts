import { workerListenFaults } from "./worker-listen-faults.ts";
import { checkShape } from "./check-shape.ts";
import { ConfigError, formatPath, type ConfigFault, type Fault, type PathPart } from "./config-error.ts";
import { crossCheck, hashOf } from "./cross-check.ts";
import { applyEnvironment, type SetMember } from "./environment.ts";
import { withoutEntries, withoutMembers } from "./without-faults.ts";
import { fileSchema } from "./file-schema.ts";
import type { FileShape } from "./file-shape.ts";
import { interpolate, type Environment } from "./interpolate.ts";
import { workersOf } from "./read-config.ts";
import { providerSecrets } from "./read-provider.ts";
import type { ServiceName } from "./schema.ts";

type Mapping = Record<string, unknown>;

/**
 * A parsed file with the environment's values put in, checked whole. Throws a ConfigError with every fault, also those
 * across members, for which every part that has none of its own is judged.
 */
export function checkFile(parsed: unknown, environment: Environment, process: ServiceName | undefined): FileShape {
  const secretsMayLack = process !== undefined && process !== "worker";
  const keysMayLack = process === "worker" || process === "dispatcher" || process === "simulator";
  const mayLack = (path: readonly PathPart[]): boolean =>
    (process !== "worker" && isSecretOf("providers", path)) || (keysMayLack && isSecretOf("keys", path));
  const { tree, faults, substituted } = interpolate(parsed, environment, { mayLack });
  if (!isMapping(tree)) throw new ConfigError([{ path: "", message: "must be a mapping" }]);
  // A section whose members are all commented out is written, and null.
  for (const [section, value] of Object.entries(tree)) if (value === null) delete tree[section];
  const set = applyEnvironment(tree, environment);
  const providers = isMapping(tree["providers"]) ? Object.keys(tree["providers"]) : [];
  const convertible = new Set([...substituted, ...set.map(({ path }) => formatPath(path))]);

  const lacking = new Set(faults.map(({ at }) => formatPath(at)));
  const misshapen = checkShape(tree, fileSchema, convertible).filter(({ at }) => !lacking.has(formatPath(at)));
  const shapeFaults = [...faults, ...misshapen];
  const sound = withoutEntries(tree, shapeFaults) as FileShape;
  const usable = withoutMembers(tree, shapeFaults) as FileShape;
  const all = [...shapeFaults, ...crossCheck({ sound, usable }, { keysMayLack, secretsMayLack, providers })];
  if (process === "worker") all.push(...workerListenFaults(workersOf(sound)));
  if (all.length > 0) throw new ConfigError(nameFaults(all, set));
  // A dispatcher compares no keys, but needs to know whose budget is what.
  return process === "dispatcher" ? sound : withoutLackingKeys(sound);
}

const secretMembers: Readonly<Record<string, readonly unknown[]>> = {
  providers: providerSecrets,
  keys: ["key", "sha256"],
};

function isSecretOf(section: string, [first, , member]: readonly PathPart[]): boolean {
  return first === section && (secretMembers[section] ?? []).includes(member);
}

/** In the words of the file, or of the environment variable that set the member; each once. */
function nameFaults(faults: readonly Fault[], set: readonly SetMember[]): ConfigFault[] {
  const named = new Map<string, ConfigFault>();
  for (const { at, message } of faults) {
    const source = set.find(({ path }) => path.every((part, index) => at[index] === part));
    const path = source?.variable ?? formatPath(at);
    named.set(`${path}: ${message}`, { path, message });
  }
  return [...named.values()];
}

function withoutLackingKeys(file: FileShape): FileShape {
  return file.keys ? { ...file, keys: file.keys.filter((key) => hashOf(key) !== undefined) } : file;
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
