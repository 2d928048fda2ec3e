/** Remembers ids for a while, and as many as it may. */
export interface Latest {
  add(id: string): void;
  has(id: string): boolean;
}

/** Every id for `keepMs` at least and twice as long at most, of the last `most` to twice as many. Two sets that take turns. */
export function createLatest(keepMs: number, most: number, now: () => number = Date.now): Latest {
  let young = new Set<string>();
  let old = new Set<string>();
  let turnedAt = now();
  const turn = (): void => {
    const age = now() - turnedAt;
    if (age < keepMs && young.size < most) return;
    old = age < 2 * keepMs ? young : new Set();
    young = new Set();
    turnedAt = now();
  };
  return {
    add(id) {
      turn();
      young.add(id);
    },
    has(id) {
      turn();
      return young.has(id) || old.has(id);
    },
  };
}
