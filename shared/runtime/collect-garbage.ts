import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options?: {
  readonly type: "major";
  readonly execution: "sync";
  readonly flavor: "last-resort";
}) => void;

let collect: Collect | undefined;

/**
 * A full collection now: some tens of milliseconds in which nothing else happens. For work that makes hundreds of
 * megabytes of garbage outside the heap, long before V8 would see a reason; see `tuneHeap`.
 */
export function collectGarbage(): void {
  collect ??= exposeCollection();
  collect();
}

/**
 * The same, and V8 returns what it holds in reserve. For the end of a start: loading modules grows the young generation to
 * its 32 MB, which a process at rest would keep.
 */
export function returnMemory(): void {
  collect ??= exposeCollection();
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}

/** The flag gives `gc` to contexts that are made after it. */
function exposeCollection(): Collect {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as Collect;
}
