/** Whose items go into the lane next. */
export interface FeedOrder {
  /** The keys, the one that was served least of late first. */
  sort(keyIds: Iterable<string>, now: number): string[];
  /** So many items of the key went into the lane. */
  charge(keyId: string, items: number, now: number): void;
}

/** What a key was served counts for half after this. */
const halfLifeMs = 60_000;
const forgottenBelow = 0.01;

/**
 * The key that had least of late goes first. So a small batch does not share the fleet with a huge one of another key
 * that runs for hours already, it has it to itself until both were served alike; from then on they share. Since what was
 * served is forgotten, nobody starves behind ever new keys.
 */
export function createFeedOrder(): FeedOrder {
  const served = new Map<string, { amount: number; at: number }>();
  function servedOf(keyId: string, now: number): number {
    const entry = served.get(keyId);
    if (!entry) return 0;
    const amount = entry.amount * 0.5 ** ((now - entry.at) / halfLifeMs);
    if (amount < forgottenBelow) served.delete(keyId);
    return amount;
  }
  return {
    sort(keyIds, now) {
      const amounts = Array.from(keyIds, (keyId) => ({ keyId, amount: servedOf(keyId, now) }));
      return amounts.toSorted((a, b) => a.amount - b.amount).map(({ keyId }) => keyId);
    },
    charge(keyId, items, now) {
      served.set(keyId, { amount: servedOf(keyId, now) + items, at: now });
    },
  };
}
