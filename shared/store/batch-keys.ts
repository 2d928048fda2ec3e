/** The names of everything that batches keep in Redis; the same hash tag as every other key has. */
export interface BatchKeys {
  /** Hash: state, times and counts. */
  meta(batchId: string): string;
  /** Hash: chunk number → what is known of its items besides their bodies. */
  index(batchId: string): string;
  /** Hash: item → body, until the item is settled. */
  bodies(batchId: string): string;
  /** Hash: item → how it ended. */
  results(batchId: string): string;
  /** Set: items that are in the lane. */
  open(batchId: string): string;
  /** Hash: item → what a provider was asked by a delivery that has not come to an end. */
  sent(batchId: string): string;
  /** Hash: what providers run of it themselves. */
  runs(batchId: string): string;
  /** What a job carries as its body's key. */
  itemBody(batchId: string, item: number): string;
  /** Sorted set: a key's batches by their creation. */
  list(keyId: string): string;
  /** Hash: open batch → its items that have not ended; of one key. */
  openItems(keyId: string): string;
  /** Hash: open batch → the key that made it. */
  readonly openBatches: string;
  /** Who feeds. */
  readonly lease: string;
  /** Pub/sub: a batch was made or cancelled. */
  readonly newsChannel: string;
}

const itemMark = "#";

export function createBatchKeys(prefix: string): BatchKeys {
  const tag = `{${prefix}}`;
  const bodies = (batchId: string): string => `${tag}:batch-bodies:${batchId}`;
  return {
    meta: (batchId) => `${tag}:batch:${batchId}`,
    index: (batchId) => `${tag}:batch-index:${batchId}`,
    bodies,
    results: (batchId) => `${tag}:batch-results:${batchId}`,
    open: (batchId) => `${tag}:batch-open:${batchId}`,
    sent: (batchId) => `${tag}:batch-sent:${batchId}`,
    runs: (batchId) => `${tag}:batch-runs:${batchId}`,
    itemBody: (batchId, item) => `${bodies(batchId)}${itemMark}${item}`,
    list: (keyId) => `${tag}:batches:${keyId}`,
    openItems: (keyId) => `${tag}:open-items:${keyId}`,
    openBatches: `${tag}:open-batches`,
    lease: `${tag}:batch-feeder`,
    newsChannel: `${tag}:batch-news`,
  };
}

/** The hash and the field that an item's body lies under; undefined for the key of something else. */
export function splitItemBody(key: string, keys: BatchKeys): { hash: string; item: string } | undefined {
  const mark = key.lastIndexOf(itemMark);
  if (mark === -1 || !key.startsWith(keys.bodies(""))) return undefined;
  return { hash: key.slice(0, mark), item: key.slice(mark + 1) };
}
