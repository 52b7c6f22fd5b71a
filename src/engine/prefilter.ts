// The cheap first look: does a text hold any word that some rule needs? Everything else is passed over
// without being decoded, joined or tried.

/** Finds the next place at or after `from` where an interesting word stands in lower-cased text; -1 when none does. */
export interface Prefilter {
  next(lowered: string, from: number): { readonly at: number; readonly end: number } | null;
}

/**
 * Builds a prefilter of the words and, for what no word can say, of patterns that are tried at every place. Words that
 * contain another word of the list are left out: the shorter one finds them too.
 */
export function prefilterOf(words: readonly string[], patterns: readonly RegExp[]): Prefilter {
  const needed = covering(words);
  const sources = [...needed.map(escapeWord), ...patterns.map((pattern) => pattern.source)];
  if (sources.length === 0) return { next: () => null };
  const any = new RegExp(sources.join('|'), 'gm');
  return {
    next(lowered, from) {
      any.lastIndex = from;
      const match = any.exec(lowered);
      return match ? { at: match.index, end: match.index + match[0].length } : null;
    },
  };
}

/** The words no other word of the list is part of. */
export function covering(words: readonly string[]): readonly string[] {
  const shortFirst = [...new Set(words)].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  const kept: string[] = [];
  for (const word of shortFirst) if (!kept.some((short) => word.includes(short))) kept.push(word);
  return kept.sort();
}

function escapeWord(word: string): string {
  return word.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}
