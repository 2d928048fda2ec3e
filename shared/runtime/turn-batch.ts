/** Collects what one event-loop turn brings and hands it on together, in order. */
export interface TurnBatch<Item> {
  add(item: Item): void;
}

/**
 * `setImmediate`, not a microtask: what several sockets bring in one turn is then one batch, and an idle process waits
 * no longer for it.
 */
export function createTurnBatch<Item>(flush: (items: Item[]) => void, most = Infinity): TurnBatch<Item> {
  let items: Item[] = [];
  function run(): void {
    const batch = items;
    items = [];
    if (batch.length === 0) return;
    if (batch.length <= most) return flush(batch);
    for (let at = 0; at < batch.length; at += most) flush(batch.slice(at, at + most));
  }
  return {
    add(item) {
      if (items.push(item) === 1) setImmediate(run);
    },
  };
}
