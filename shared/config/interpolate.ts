import { formatPath, type Fault, type PathPart } from "./config-error.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Interpolated {
  readonly tree: unknown;
  readonly faults: readonly Fault[];
  /** Paths of values that were nothing but one variable: those may become numbers. */
  readonly substituted: ReadonlySet<string>;
}

export interface InterpolateOptions {
  /** Members that may be left out when their variable is not set or empty. */
  readonly mayLack: (path: readonly PathPart[]) => boolean;
}

const reference = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{/g;
const onlyReference = /^\$\{[^}]*\}$/;

interface Work {
  readonly environment: Environment;
  readonly options: InterpolateOptions;
  readonly faults: Fault[];
  readonly substituted: Set<string>;
}

/**
 * Replaces `${VAR}` and `${VAR:-default}` in every text of a tree; the default also stands in for an empty variable, as
 * in a shell, and `$${` is a plain `${`. It happens after parsing, so a value can never become structure. A variable
 * that is not set and has no default is a fault.
 */
export function interpolate(tree: unknown, environment: Environment, options: InterpolateOptions): Interpolated {
  const work: Work = { environment, options, faults: [], substituted: new Set() };
  return { tree: visit(tree, [], work), faults: work.faults, substituted: work.substituted };
}

/** Deeper than anything the schema knows; an alias inside its own anchor never ends. */
const deepest = 16;

function visit(value: unknown, path: readonly PathPart[], work: Work): unknown {
  if (path.length > deepest) return null;
  if (typeof value === "string") return value.includes("${") ? replace(value, path, work) : value;
  if (Array.isArray(value)) return value.map((item, index) => visit(item, [...path, index], work));
  if (typeof value !== "object" || value === null) return value;
  const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, member] of Object.entries(value)) {
    const replaced = visit(member, [...path, name], work);
    if (replaced !== undefined) result[name] = replaced;
  }
  return result;
}

/** Undefined when the member is to be left out. */
function replace(text: string, path: readonly PathPart[], work: Work): string | undefined {
  const mayLack = work.options.mayLack(path);
  let lacks = false;
  const result = text.replace(reference, (match, name: string | undefined, fallback: string | undefined) => {
    if (match === "$${") return "${";
    const value = name === undefined ? undefined : work.environment[name];
    if (value) return value;
    if (fallback !== undefined) return fallback;
    if (mayLack) lacks = true;
    else if (value === undefined) work.faults.push({ at: path, message: missing(name, path) });
    return "";
  });
  if (lacks) return undefined;
  if (onlyReference.test(text)) work.substituted.add(formatPath(path));
  return result;
}

function missing(name: string | undefined, path: readonly PathPart[]): string {
  return name === undefined
    ? "`${` begins the name of a variable, as in ${NAME} or ${NAME:-default}; write `$${` for the characters themselves"
    : `the environment variable ${name} is not set: set it, or delete ${formatPath(path.slice(0, 2))}`;
}
