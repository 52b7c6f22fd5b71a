// The cheap first look: does a text hold any word that some rule needs? Everything else is passed over
// without being decoded, joined or tried.

import { bare, WordFinder } from './word-finder.ts';

/** Longer lines are read up to here: 64 KiB. */
export const LINE_KEPT = 64 * 1024;

/** Levels as numbers or letters, which no rule's word can find: pino and bunyan, klog, logcat, Ruby, MongoDB. */
export const LEVEL_SHAPES: readonly RegExp[] = [
  /"level": ?[56]0\b/i,
  /^[ef][01]\d[0-3]\d \d/im,
  /^\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} +\d+ +\d+ [ef] /im,
  /^\d{4}-\S{10,24} [ef] [a-z]+ +\[/im,
];
/** Words of which each text that such a shape matches holds one. Before its first line stands a line end. */
export const LEVEL_SHAPE_WORDS: readonly string[] = [
  ...['5', '6'].flatMap((digit) => [`"level":${digit}`, `"level": ${digit}`]),
  ...['\n', '\r'].flatMap((end) => ['e0', 'e1', 'f0', 'f1'].map((letter) => `${end}${letter}`)),
  ' e ',
  ' f ',
];

/** Finds the next place at or after `from` that makes its line worth reading; null when none does. */
export interface Prefilter {
  next(text: string, from: number): { readonly at: number; readonly end: number } | null;
}

/**
 * Builds a prefilter of the words and, for what no word can say, of patterns that are tried at every place. Words that
 * contain another word of the list are left out: the shorter one finds them too.
 */
export function prefilterOf(words: readonly string[], patterns: readonly RegExp[]): Prefilter {
  const finder = new WordFinder(covering(words));
  const shapes = shapeFinder(patterns);
  return {
    next(text, from) {
      const word = finder.next(text, from);
      const shape = shapes(text, from);
      const at = word < 0 || (shape >= 0 && shape < word) ? shape : word;
      return at < 0 ? null : { at, end: at + 1 };
    },
  };
}

/** Remembers the next place of a shape, for it is asked again after every word before it. */
function shapeFinder(patterns: readonly RegExp[]): (text: string, from: number) => number {
  if (patterns.length === 0) return () => -1;
  const any = new RegExp(patterns.map((pattern) => pattern.source).join('|'), 'gim');
  let last = { text: '', from: 0, at: -1 };
  return (text, from) => {
    const isStillAhead = last.text === text && from >= last.from && (last.at < 0 || from <= last.at);
    if (isStillAhead && text !== '') return last.at;
    any.lastIndex = from;
    last = { text, from, at: any.exec(text)?.index ?? -1 };
    return last.at;
  };
}

/** The words no other word of the list is part of. A word that must stand alone says nothing of those it is part of. */
export function covering(words: readonly string[]): readonly string[] {
  const anywhere = new WordFinder(words.filter((word) => bare(word) === word));
  const alone = [...new Set(words)].filter((word) => bare(word) !== word && anywhere.in(bare(word)).length === 0);
  return [...anywhere.words.filter((word) => anywhere.in(word).length === 1), ...alone];
}
