/**
 * The least of up to `times` measurements; the first one that is at most `enough` is the last. For a figure that is
 * promised: what else a machine does only ever adds to it, so that one measurement within it shows that it is kept,
 * and what breaks it breaks it every time.
 */
export async function bestOf(
  times: number,
  measure: (round: number) => number | Promise<number>,
  enough: number,
): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < times && best > enough; round++) best = Math.min(best, await measure(round));
  return best;
}
