import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = () => void;

let collect: Collect | undefined;

/**
 * A full collection now: some tens of milliseconds in which nothing else happens. For work that makes hundreds of
 * megabytes of garbage outside the heap, long before V8 would see a reason; see `tuneHeap`.
 */
export function collectGarbage(): void {
  collect ??= exposeCollection();
  collect();
}

/** The flag gives `gc` to contexts that are made after it. */
function exposeCollection(): Collect {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as Collect;
}
