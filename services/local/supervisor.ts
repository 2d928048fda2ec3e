import { ManagedChild, type ChildEvents, type ChildSpec } from "./managed-child.ts";

export interface Supervisor {
  /** Keeps these running from now on. Resolves when all are ready, rejects with the first that never will be. */
  start(specs: readonly ChildSpec[], limitMs: number): Promise<void>;
  /** Ends what was started last first, those of one `start` together; each has `limitMs`. */
  stop(limitMs: number): Promise<void>;
  /** Hands a signal to those of this name that are ready. */
  pass(name: string, signal: NodeJS.Signals): void;
  /** Ends all at once. `stop` resolves soon after. */
  kill(): void;
}

/** Starts children in stages, restarts those that end, and ends them in the opposite order. */
export function createSupervisor(events: ChildEvents): Supervisor {
  const stages: ManagedChild[][] = [];
  let stopping = false;
  return {
    start: async (specs, limitMs) => {
      if (stopping) throw new Error("everything is being ended");
      const stage = specs.map((spec) => new ManagedChild(spec, events));
      stages.push(stage);
      for (const child of stage) child.start();
      await inTime(stage, limitMs);
    },
    stop: async (limitMs) => {
      stopping = true;
      for (const stage of stages.toReversed()) await Promise.all(stage.map((child) => child.stop(limitMs)));
    },
    pass: (name, signal) => {
      for (const child of stages.flat()) if (child.spec.name === name) child.pass(signal);
    },
    kill: () => {
      for (const child of stages.flat()) child.kill();
    },
  };
}

async function inTime(stage: readonly ManagedChild[], limitMs: number): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const report = Promise.all(stage.map(async ({ spec }) => ({ name: spec.name, lacks: await spec.lacks() })));
    void report.then((children) => {
      const waiting = children.filter(({ lacks }) => lacks !== "").map(({ name, lacks }) => `${name}: ${lacks}`);
      late.reject(new Error(`Not ready after ${limitMs / 1000} s. ${waiting.join("; ")}`));
    });
  }, limitMs);
  try {
    await Promise.race([Promise.all(stage.map((child) => child.ready)), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
