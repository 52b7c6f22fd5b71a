// What every rule owes: reasons, samples of both kinds that behave, words that make it cheap, and patterns that
// no text can slow down.

import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ErrorDetector } from '../engine/detector.ts';
import { literalsOf } from '../engine/literals.ts';
import { WordFinder } from '../engine/word-finder.ts';
import { FACT_NAMES } from '../core/facts.ts';
import { ERROR_TYPES } from '../core/words.ts';
import { rules } from './index.ts';

const detector = new ErrorDetector();

describe('the catalogue', () => {
  it('holds every file of the folder', () => {
    const files = readdirSync(fileURLToPath(new URL('.', import.meta.url)))
      .filter((file) => file.endsWith('.ts') && !/\.test\.ts$|^(?:index|contract)\.ts$/.test(file))
      .map((file) => file.replace('.ts', ''));
    const types = new Set<string>(rules.map((rule) => rule.type));
    expect(files.map((file) => file.replaceAll('-', '_')).filter((type) => !types.has(type))).toEqual([]);
  });

  it('knows every type of the contract', () => {
    expect(ERROR_TYPES.filter((type) => !rules.some((rule) => rule.type === type))).toEqual([]);
  });

  it('names each rule once', () => {
    expect(new Set(rules.map((rule) => rule.name)).size).toBe(rules.length);
  });
});

for (const rule of rules) {
  describe(rule.name, () => {
    it('has three samples of either kind, and a reason for each pattern', () => {
      expect(rule.matches.length).toBeGreaterThanOrEqual(3);
      expect(rule.rejects.length).toBeGreaterThanOrEqual(3);
      for (const pattern of rule.patterns) expect(pattern.because).toMatch(/\w\w/);
    });

    for (const { text, facts } of rule.matches)
      it(`is ${JSON.stringify(text.slice(-90))}`, () => {
        const found = detector.scanText(text);
        expect(found.map((one) => one.rule)).toEqual([rule.name]);
        expect(found[0]?.facts).toMatchObject(facts ?? {});
      });

    for (const { text } of rule.rejects)
      it(`is not ${JSON.stringify(text.slice(-90))}`, () => {
        expect(detector.scanText(text).map((one) => one.rule)).not.toContain(rule.name);
      });

    it('needs words, so that most lines are never read in full', () => {
      for (const { match, words, byLevel } of rule.patterns)
        if (!byLevel) expect(words ?? literalsOf(match), match.source).not.toBeNull();
    });

    it('finds one of its words in whatever its patterns match', () => {
      for (const { match, words } of rule.patterns) {
        const needed = words ?? literalsOf(match);
        for (const other of rules)
          for (const { text } of other.matches)
            if (needed && match.test(text))
              expect(new WordFinder(needed).next(text, 0) >= 0, `${match.source}\n${text}`).toBe(true);
      }
    });

    it('gives facts under known names', () => {
      for (const { match, facts } of rule.patterns)
        for (const [, group = ''] of match.source.matchAll(/\(\?<([A-Za-z]+)\d*>/g))
          expect(FACT_NAMES).toContain(facts?.[group] ?? group);
    });

    it('has no look-around, no back-reference and no repeat inside an unbounded repeat', () => {
      for (const { match } of rule.patterns) {
        expect(match.source).not.toMatch(/\(\?<?[=!]|\\[1-9]|\\k</);
        expect(match.source).not.toMatch(/[+*}]\)[+*]/);
        expect(match.source).not.toMatch(/[+*}]\)\{\d+,\}/);
      }
    });

    it('stays quick on texts made to make it slow', () => {
      const traps = [
        'a ',
        'aA1_',
        '" ',
        '( [{',
        'error ',
        'connection ',
        'failed: ',
        'no such ',
        '\\"',
        ': : ',
        'x.y.',
      ];
      for (const { match } of rule.patterns) for (const trap of traps) match.test(trap.repeat(4_000).slice(0, 8_000));
    });
  });
}
