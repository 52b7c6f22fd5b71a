import fc from 'fast-check';
import { expect, it } from 'vitest';
import { withoutOverlap } from './overlap.ts';

function after(before: string, pieces: readonly string[]): string {
  const overlap = withoutOverlap(before);
  return pieces.map((piece) => overlap.push(piece)).join('') + overlap.end();
}

it.each([
  ['nothing in common', 'The answer', [' is 42.'], ' is 42.'],
  ['the last words again', 'The answer is forty', ['answer is ', 'forty-two.'], '-two.'],
  ['all of it again', 'Hi ', ['H', 'i ', 'there'], 'there'],
  ['all of it and nothing more', 'The whole answer.', ['The whole', ' answer.'], ''],
  ['a short repeat that may be meant', 'It is very, very', [' very cold'], ' very cold'],
])('leaves out %s', (_, before, pieces, expected) => {
  expect(after(before, pieces)).toBe(expected);
});

it('never loses what is new, however it is cut', () => {
  const prose = fc.string({ maxLength: 60 });
  fc.assert(
    fc.property(prose, prose, fc.array(fc.nat(20)), (before, fresh, cuts) => {
      const marked = `#${fresh}`;
      const pieces: string[] = [];
      let rest = `${before.slice(-12)}${marked}`;
      for (const cut of cuts) {
        pieces.push(rest.slice(0, cut));
        rest = rest.slice(cut);
      }
      expect(after(before, [...pieces, rest]).endsWith(fresh)).toBe(true);
    }),
  );
});
