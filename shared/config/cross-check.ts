import type { Fault, PathPart } from "./config-error.ts";
import type { FileShape, KeyShape, RouteShape } from "./file-shape.ts";
import { hint } from "./nearest.ts";
import { providerFaults } from "./provider-faults.ts";
import { hashKey } from "./read-identities.ts";

/** The key of the examples; everybody knows it, so it opens the simulator only. */
const demoKey = "sluice-demo-key";

export interface CrossCheckOptions {
  /** Keys may lack their secret: this process lets nobody in. */
  readonly keysMayLack: boolean;
  /** Providers may lack their secrets: this process asks none of them. */
  readonly secretsMayLack: boolean;
  /** Every name of a provider that is written, those with faults too. */
  readonly providers: readonly string[];
}

/** A file by what is left of it. */
export interface CheckedParts {
  /** Entries without any fault: what they lack they do lack. */
  readonly sound: FileShape;
  /** Every value without a fault, whatever is wrong beside it; lists have gaps. */
  readonly usable: FileShape;
}

/** What the schema cannot say: that names point at something, are told once, and that keys are keys. */
export function crossCheck({ sound, usable }: CheckedParts, options: CrossCheckOptions): Fault[] {
  const faults: Fault[] = [];
  const report = (at: readonly PathPart[], message: string): void => void faults.push({ at, message });
  checkRoutes(usable, options, report);
  for (const [name, provider] of Object.entries(sound.providers ?? {}))
    for (const fault of providerFaults(provider, options)) report(["providers", name], fault);
  checkAliases(usable, report);
  checkDates(usable, report);
  if (!options.keysMayLack) checkSecrets(sound, report);
  checkKeys({ sound, usable }, report);
  checkNames("keys", numbered(usable.keys), report);
  checkNames("oidc", numbered(usable.oidc), report);
  return faults;
}

/** Items with their places; what was at fault has been taken out. */
function numbered<T>(list: readonly (T | undefined)[] = []): [number, T][] {
  return [...list.entries()].filter((entry): entry is [number, T] => entry[1] !== undefined);
}

type Report = (at: readonly PathPart[], message: string) => void;

function checkRoutes(file: FileShape, { providers }: CrossCheckOptions, report: Report): void {
  for (const [name, model] of Object.entries(file.models ?? {})) {
    const seen = new Set<string>();
    for (const [index, route] of numbered(model?.routes)) {
      const { provider, target } = describeRoute(route);
      const path = ["models", name, "routes", index];
      if (!providers.includes(provider)) report(path, `there is no provider of this name${hint(provider, providers)}`);
      if (seen.has(target)) report(path, "the same route twice");
      seen.add(target);
    }
  }
}

function describeRoute(route: RouteShape): { provider: string; target: string } {
  if (typeof route === "string") return { provider: route, target: JSON.stringify([route]) };
  const { provider, model } = route;
  return { provider, target: JSON.stringify(model === undefined ? [provider] : [provider, model]) };
}

function checkAliases(file: FileShape, report: Report): void {
  const models = Object.entries(file.models ?? {});
  const names = new Set(models.map(([name]) => name));
  const owners = new Map<string, string>();
  for (const [name, model] of models) {
    for (const [index, alias] of numbered(model?.aliases)) {
      const path = ["models", name, "aliases", index];
      const owner = owners.get(alias);
      if (names.has(alias)) report(path, "this is the name of a model");
      else if (owner !== undefined) report(path, `this is an alias of \`${owner}\` already`);
      owners.set(alias, name);
    }
  }
}

function checkDates(file: FileShape, report: Report): void {
  for (const [name, model] of Object.entries(file.models ?? {})) {
    if (!isDate(model?.created_at)) report(["models", name, "created_at"], "there is no such date");
  }
  for (const [index, key] of numbered(file.keys)) {
    if (!isDate(key.expires_at)) report(["keys", index, "expires_at"], "there is no such date");
  }
}

function isDate(written: string | undefined): boolean {
  return written === undefined || !Number.isNaN(Date.parse(written));
}

function checkSecrets({ keys }: FileShape, report: Report): void {
  for (const [index, key] of numbered(keys))
    if (hashOf(key) === undefined) report(["keys", index], "needs `key` or `sha256`");
}

function checkKeys({ sound, usable }: CheckedParts, report: Report): void {
  const owners = new Map<string, string>();
  for (const [index, key] of numbered(usable.keys)) {
    const path = ["keys", index];
    if (key.key !== undefined && key.sha256 !== undefined) report(path, "`key` or `sha256`, not both");
    const hash = hashOf(key);
    if (hash === undefined) continue;
    const owner = owners.get(hash);
    if (owner !== undefined) report(path, `is the same key as \`${owner}\``);
    owners.set(hash, key.name);
    if (hash === demoHash && !isSimulated(sound)) report(path, demoRefused);
  }
}

const demoHash = hashKey(demoKey);
const demoRefused =
  "the demo key is known to everybody and opens the simulator only; set a key of your own, such as `openssl rand -hex 24` makes";

/** The hash of a key, undefined when it lacks its secret. */
export function hashOf({ key, sha256 }: KeyShape): string | undefined {
  return sha256?.toLowerCase() ?? (key === undefined ? undefined : hashKey(key));
}

const simulatorHost = /^(?:localhost|127(?:\.\d+){3}|\[::1\]|simulator)$/;

/** Whether every provider is a stand-in on this machine or in this compose project. */
function isSimulated(file: FileShape): boolean {
  return Object.values(file.providers ?? {}).every(
    ({ base_url: url }) => url !== undefined && URL.canParse(url) && simulatorHost.test(new URL(url).hostname),
  );
}

function checkNames(
  list: string,
  entries: readonly (readonly [number, { readonly name: string }])[],
  report: Report,
): void {
  const seen = new Set<string>();
  for (const [index, { name }] of entries) {
    if (seen.has(name)) report([list, index, "name"], "the same name twice");
    seen.add(name);
  }
}
