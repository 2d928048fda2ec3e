import type { Logger } from "#shared/telemetry/logger.ts";
import { createChangeSignal, type WaitOptions } from "./change-signal.ts";
import { parseWorkerAddress, resolveAddresses, type Endpoint, type LookupHost } from "./resolve-addresses.ts";
import { WorkerLink, type LinkDeps } from "./worker-link.ts";

const nothing = Symbol("nothing");

export interface WorkerLinksOptions extends Omit<LinkDeps, "changed"> {
  readonly address: string;
  readonly resolveEveryMs: number;
  readonly lookupHost: LookupHost | undefined;
}

/** One link per address that `workers.address` stands for, kept up to date. */
export interface WorkerLinks {
  /** All links, those without a session and those of leaving workers too. */
  readonly all: readonly WorkerLink[];
  /** Links that take calls, one per worker. */
  readonly active: readonly WorkerLink[];
  /** The least loaded worker; any of them when several are. */
  pick(): WorkerLink | undefined;
  /** The address has been resolved at least once, so `all` is what it names. */
  readonly resolved: boolean;
  readonly closed: boolean;
  /** Waits for a change of any link; see ChangeSignal. Finds nothing any more once closed. */
  wait<T>(look: () => T | undefined, options: WaitOptions): Promise<T | undefined>;
  close(): Promise<void>;
}

/** Throws TypeError when the address cannot be understood; one that cannot be resolved is tried again and again. */
export function createWorkerLinks(options: WorkerLinksOptions): WorkerLinks {
  const places = parseWorkerAddress(options.address);
  const links = new Map<string, WorkerLink>();
  const change = createChangeSignal();
  let active: WorkerLink[] = [];
  let resolved = false;
  let closed = false;
  const changed = (): void => {
    for (const [target, link] of links) if (link.closed) links.delete(target);
    active = onePerWorker(links.values());
    change.changed();
  };
  const report = createResolveReport(options.logger);
  const refresh = async (): Promise<void> => {
    try {
      const endpoints = await resolveAddresses(places, options.lookupHost);
      report(undefined);
      if (!closed) takeOver(endpoints, links, (endpoint) => new WorkerLink(endpoint, { ...options, changed }));
      resolved = true;
      changed();
    } catch (error) {
      report(error);
    }
  };
  void refresh();
  const timer = setInterval(() => void refresh(), options.resolveEveryMs);
  return {
    get all() {
      return [...links.values()];
    },
    get active() {
      return active;
    },
    pick: () => leastLoaded(active),
    get resolved() {
      return resolved;
    },
    get closed() {
      return closed;
    },
    async wait(look, waitOptions) {
      const seen = await change.wait(() => (closed ? nothing : look()), waitOptions);
      return seen === nothing ? undefined : seen;
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await Promise.all([...links.values()].map((link) => link.close()));
      change.changed();
    },
  };
}

function takeOver(
  endpoints: readonly Endpoint[],
  links: Map<string, WorkerLink>,
  connect: (endpoint: Endpoint) => WorkerLink,
): void {
  const named = new Set(endpoints.map(({ target }) => target));
  for (const [target, link] of links) if (!named.has(target)) link.retire();
  for (const endpoint of endpoints) {
    const known = links.get(endpoint.target);
    if (known && !known.closed) known.keep();
    else links.set(endpoint.target, connect(endpoint));
  }
}

/** A worker that is reached by two addresses (IPv4 and IPv6 of one name) counts once. */
function onePerWorker(links: Iterable<WorkerLink>): WorkerLink[] {
  const byEpoch = new Map<string, WorkerLink>();
  for (const link of links) if (link.ready && !byEpoch.has(link.epoch)) byEpoch.set(link.epoch, link);
  return [...byEpoch.values()];
}

function leastLoaded(links: readonly WorkerLink[]): WorkerLink | undefined {
  let best: WorkerLink | undefined;
  let bestLoad = Infinity;
  let ties = 0;
  for (const link of links) {
    const load = link.load;
    if (load > bestLoad) continue;
    ties = load === bestLoad ? ties + 1 : 1;
    bestLoad = load;
    if (Math.random() * ties < 1) best = link;
  }
  return best;
}

/** Says once that names cannot be resolved, and once that they can again. */
function createResolveReport(logger: Logger): (error: unknown) => void {
  let failing = false;
  return (error) => {
    if (error !== undefined && !failing) logger.warn({ err: error }, "workers.address cannot be resolved");
    if (error === undefined && failing) logger.info({}, "workers.address can be resolved again");
    failing = error !== undefined;
  };
}
