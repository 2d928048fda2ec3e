/** Resident memory of processes over time, and how it grows. */
import { residentMb, type Started } from "./processes.ts";

interface Sample {
  readonly at: number;
  readonly mb: number;
}

export interface Growth {
  readonly name: string;
  /** Least squares over the longest life of the process, but for its first part; NaN if none lasted long enough. */
  readonly mbPerMinute: number;
  readonly seconds: number;
  readonly peakMb: number;
}

export interface MemoryWatch {
  /**
   * `lastPart`: of the watched time. What is left out before it, so much is left out of every life: a process that was
   * killed has to grow to its size again.
   */
  stop(lastPart: number): Growth[];
}

const everyMs = 500;

/** `processes` may be replaced meanwhile; a process that was started anew begins a new life. */
export function watchMemory(processes: readonly Started[]): MemoryWatch {
  const lives = new Map<Started, Sample[]>();
  const look = (): void => {
    for (const each of processes) {
      const samples = lives.get(each) ?? [];
      lives.set(each, samples);
      try {
        samples.push({ at: performance.now(), mb: residentMb(each.pid) });
      } catch {
        // It has just been killed.
      }
    }
  };
  const startedAt = performance.now();
  const timer = setInterval(look, everyMs);
  return {
    stop(lastPart) {
      clearInterval(timer);
      const warmUpMs = (performance.now() - startedAt) * (1 - lastPart);
      const names = [...new Set(Array.from(lives.keys(), ({ name }) => name))];
      return names.map((name) => growthOf(name, lives, warmUpMs));
    },
  };
}

function growthOf(name: string, lives: ReadonlyMap<Started, readonly Sample[]>, warmUpMs: number): Growth {
  const ofName = [...lives].filter(([each]) => each.name === name).map(([, samples]) => samples);
  const warm = ofName.map((samples) => samples.filter(({ at }) => at >= (samples[0]?.at ?? 0) + warmUpMs));
  const longest = warm.toSorted((a, b) => b.length - a.length)[0] ?? [];
  return {
    name,
    mbPerMinute: slope(longest) * 60_000,
    seconds: (longest.length * everyMs) / 1000,
    peakMb: Math.max(...ofName.flat().map(({ mb }) => mb)),
  };
}

/** Of a least-squares line, in MB a millisecond. */
function slope(samples: readonly Sample[]): number {
  if (samples.length < 10) return NaN;
  const mean = (of: keyof Sample): number => samples.reduce((sum, each) => sum + each[of], 0) / samples.length;
  const [at, mb] = [mean("at"), mean("mb")];
  const up = samples.reduce((sum, each) => sum + (each.at - at) * (each.mb - mb), 0);
  const across = samples.reduce((sum, each) => sum + (each.at - at) ** 2, 0);
  return up / across;
}
