// The nearest known word to one that was mistyped: for configuration keys, commands and flags.

/** Optimal string alignment: inserted, deleted, replaced and swapped letters cost one each. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(row[j - 1]! + 1, previous[j]! + 1, previous[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}

/** Case and the choice of separator are not mistakes worth counting. */
const plain = (word: string): string => word.toLowerCase().replace(/[-_ .]/g, '');

/** `hist` for `history`, `automatic` for `auto`. */
function oneBeginsWithOther(a: string, b: string): boolean {
  return Math.min(a.length, b.length) > 2 && (a.startsWith(b) || b.startsWith(a));
}

/**
 * The known word that is most like `word`, or null when none is near enough to be meant.
 *
 * @example
 * nearest('auto_fxi', ['auto_fix', 'enabled']) // 'auto_fix'
 */
export function nearest(word: string, known: readonly string[]): string | null {
  const wanted = plain(word.slice(0, 64));
  let best: string | null = null;
  let bestCost = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const other = plain(candidate);
    const cost = oneBeginsWithOther(wanted, other) ? 1 : distance(wanted, other);
    if (cost < bestCost) [best, bestCost] = [candidate, cost];
  }
  return best;
}
