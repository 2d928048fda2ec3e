import { GatewayError } from "#shared/messages/error.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** The reading of one body for a wire that is not Claude's: what was left out, and what cannot be said. */
export class Reading {
  /**
   * True when the caller asked for a Claude model, so that another family stands in for it: what that family lacks is
   * then adapted and noted; otherwise the caller asked this very model for it, and is refused.
   */
  readonly adapts: boolean;
  readonly #notes = new Set<string>();

  constructor(adapts: boolean) {
    this.adapts = adapts;
  }

  /** For the trace, each once. */
  get notes(): readonly string[] {
    return [...this.#notes];
  }

  /** A hint that changes no answer is left out. `what` is a member's name, never the caller's words. */
  drop(what: string): void {
    this.#notes.add(`dropped: ${what}`);
  }

  /** Something is said otherwise than it was asked, as near as the wire can. */
  adapt(what: string): void {
    this.#notes.add(`adapted: ${what}`);
  }

  /** Noted where another family stands in, else refused. */
  adaptOrRefuse(what: string, path: string): void {
    if (!this.adapts) this.refuse(path, "this model's provider has no equivalent");
    this.adapt(what);
  }

  /** @throws GatewayError `invalid_request` in the API's form, `path: why`. */
  refuse(path: string, why: string): never {
    throw new GatewayError("invalid_request", `${path}: ${why}`);
  }

  fields(value: unknown, path: string): Fields {
    return isFields(value) ? value : this.refuse(path, "Input should be an object");
  }

  list(value: unknown, path: string): readonly unknown[] {
    return Array.isArray(value) ? value : this.refuse(path, "Input should be a list");
  }

  text(value: unknown, path: string): string {
    return typeof value === "string" ? value : this.refuse(path, "Input should be a string");
  }

  optionalText(value: unknown, path: string): string | undefined {
    return isAbsent(value) ? undefined : this.text(value, path);
  }

  optionalNumber(value: unknown, path: string): number | undefined {
    if (isAbsent(value)) return undefined;
    return typeof value === "number" ? value : this.refuse(path, "Input should be a number");
  }

  /** Refuses members that are not known, so that none is dropped unseen; null counts as absent. */
  onlyMembers(fields: Fields, known: ReadonlySet<string>, path: string): void {
    for (const name in fields) {
      if (known.has(name) || isAbsent(fields[name])) continue;
      if (name === "cache_control") this.drop("cache_control");
      else this.refuse(path === "" ? name : `${path}.${name}`, "this model's provider has no equivalent");
    }
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A JSON document's members; undefined for what is none. */
export function parseFields(body: Buffer): Fields | undefined {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

const claudeName = /(?:^|[./])claude-/i;

/** Whether a model's name, in any provider's spelling, is one of Claude's. */
export function isClaudeModel(model: string): boolean {
  return claudeName.test(model);
}
