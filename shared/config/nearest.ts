/** ` (did you mean \`base_url\`?)` when one of the known names is close to what was written, else nothing. */
export function hint(written: string, known: Iterable<string>): string {
  const name = nearest(written, known);
  return name === undefined ? "" : ` (did you mean \`${name}\`?)`;
}

/** The known name that takes the fewest edits, if that is at most a third of its length. */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  const asked = written.toLowerCase().replaceAll("-", "_").slice(0, 64);
  let best: string | undefined;
  let fewest = Infinity;
  for (const name of known) {
    const most = Math.min(fewest - 1, Math.max(1, Math.floor(name.length / 3)));
    // So many edits it takes at least.
    if (Math.abs(name.length - asked.length) > most) continue;
    const edits = editDistance(asked, name.toLowerCase().replaceAll("-", "_"));
    if (edits <= most) {
      best = name;
      fewest = edits;
    }
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = at(row, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const swapped = from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1] ? at(before, j - 2) + 1 : Infinity;
      next.push(Math.min(replaced, swapped, at(row, j) + 1, at(next, j - 1) + 1));
    }
    before = row;
    row = next;
  }
  return at(row, to.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
