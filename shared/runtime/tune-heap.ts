import { setFlagsFromString } from "node:v8";

/**
 * Bodies are Buffers, memory outside V8's heap. By default V8 runs a full collection for every 64 MB of it, however small
 * the heap: with 1 MB bodies that was one for every five calls, and half of all CPU. Counted in the heap's own limit it
 * is one for every few hundred megabytes: three times the calls per CPU-second, at the same resident size.
 *
 * And where little outlives the young generation, V8 lets the old one grow by a tenth before it collects it: two full
 * collections a second, a quarter of a busy worker's CPU, to find nothing. It may grow to three times what lives.
 */
export function tuneHeap(): void {
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  setFlagsFromString("--external-memory-max-growing-factor=4");
  setFlagsFromString("--heap-growing-percent=200");
}
