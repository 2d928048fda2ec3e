/** A batch on three accounts that refuse three calls in ten, while every process is killed twice, and Redis too. */
import { batchBody, countResults, postBatch, untilEnded } from "./batch-client.ts";
import { watchMemory, type Growth } from "./memory-watch.ts";
import { prose } from "./soak-intake.ts";
import type { UpstreamStats } from "./soak-upstream.ts";
import { startSluice, type ServiceName, type SluiceStack, type StackOptions } from "./targets.ts";

export interface SoakFigures {
  readonly items: number;
  readonly results: Awaited<ReturnType<typeof countResults>>;
  /** Items of which the gateway says that they may have been paid twice. */
  readonly rerun: number;
  readonly seconds: number;
  /** What the provider would serve a second if it refused nobody. */
  readonly allowedPerSecond: number;
  readonly upstream: UpstreamStats;
  readonly growths: readonly Growth[];
  readonly kills: readonly string[];
}

type Victim = ServiceName | "redis";

interface Killing {
  readonly victim: Victim;
  /** Share of the items that are done by then. */
  readonly at: number;
}

const rules = { most: 20, serviceMs: 100, share429: 0.1, share529: 0.2 };
const victims: readonly Victim[] = ["gateway", "dispatcher", "worker", "redis"];
/** A refusal keeps everybody away from its account for a while; with others beside it the work goes on. */
const accounts = 3;
const patienceMs = { atLeast: 500_000, perItem: 80 };
const bytesPerItem = 1_500;

/** Each once in the first eighth, and once more in the second: what comes after shows how memory grows. */
function planKillings(): Killing[] {
  const within = (from: number, to: number) => (victim: Victim) => ({ victim, at: from + Math.random() * (to - from) });
  const plan = [...victims.map(within(0.02, 0.12)), ...victims.map(within(0.12, 0.25))];
  return plan.toSorted((a, b) => a.at - b.at);
}

/** Kills as the batch gets on; one at a time. */
function createKiller(stack: SluiceStack, say: (text: string) => void) {
  const waiting = planKillings();
  const kills: string[] = [];
  let killing: Promise<void> | undefined;
  async function kill({ victim, at }: Killing): Promise<void> {
    say(`${(at * 100).toFixed(0)} %: kill ${victim}`);
    await stack.restart(victim);
    kills.push(`${victim} at ${(at * 100).toFixed(0)} %`);
  }
  return {
    kills,
    reached(share: number): void {
      const next = waiting[0];
      if (killing || !next || share < next.at) return;
      waiting.shift();
      killing = kill(next).finally(() => (killing = undefined));
    },
    done: async (): Promise<void> => {
      await killing;
      if (waiting.length > 0) throw new Error(`the batch ended before ${waiting.length} kills`);
    },
  };
}

export async function soak(
  options: Pick<StackOptions, "workDir" | "upstreamUrl"> & { readonly items: number; say(text: string): void },
): Promise<SoakFigures> {
  const { items, upstreamUrl, say } = options;
  // Traces of an hour would fill Redis for an hour.
  const own = { name: "soak", port: 19_980, mode: "always", accounts, traceTtl: "1m" } as const;
  const stack = await startSluice({ ...options, ...own });
  try {
    await fetch(`${upstreamUrl}/__rules`, { method: "POST", body: JSON.stringify(rules) });
    const text = prose(bytesPerItem);
    const { batch } = await postBatch(
      stack,
      batchBody(items, (index) => `soak ${index}: ${text}`),
    );
    const memory = watchMemory(stack.processes);
    const startedAt = performance.now();
    const killer = createKiller(stack, say);
    let saidAt = startedAt;
    const ended = await untilEnded(stack, batch.id, {
      timeoutMs: Math.max(patienceMs.atLeast, items * patienceMs.perItem),
      onLook: ({ progress: { processing } }) => {
        killer.reached(1 - processing / items);
        if (performance.now() - saidAt < 15_000) return;
        saidAt = performance.now();
        say(`${items - processing} of ${items} after ${((saidAt - startedAt) / 1000).toFixed(0)} s`);
      },
    });
    const seconds = (performance.now() - startedAt) / 1000;
    await killer.done();
    return {
      items,
      results: await countResults(stack, batch.id),
      rerun: ended.progress.rerun,
      seconds,
      allowedPerSecond: (rules.most * 1000) / rules.serviceMs,
      upstream: (await (await fetch(`${upstreamUrl}/__stats`)).json()) as UpstreamStats,
      growths: memory.stop(0.8),
      kills: killer.kills,
    };
  } finally {
    await stack.close();
  }
}
