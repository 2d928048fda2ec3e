/** Collects what changed during one turn of the event loop and flushes each once, at its end. */
export interface TurnQueue {
  add(item: Flushable): void;
}

interface Flushable {
  flush(now: number): void;
}

/** One `setImmediate` for all of them: a turn's frames of hundreds of streams become one write each. */
export function createTurnQueue(): TurnQueue {
  let items: Flushable[] = [];
  const flushAll = (): void => {
    const due = items;
    items = [];
    const now = Date.now();
    for (const item of due) item.flush(now);
  };
  return {
    add(item) {
      if (items.push(item) === 1) setImmediate(flushAll);
    },
  };
}
