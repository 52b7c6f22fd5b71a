import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isDistributionName, parseRequirement, parseRequirements } from './requirements.ts';

const pinsOf = (text: string) =>
  parseRequirements(text, 'requirements.txt').pins.map((p) => [p.name, p.version, p.range, p.kind, p.line]);

const HEX = 'ab'.repeat(32);

describe('what a requirements file pins', () => {
  it.each([
    ['an exact version', 'wordtrim==1.2.0\n', [['wordtrim', '1.2.0', null, 'registry', 1]]],
    ['spaces and a comment', '  wordtrim == 1.2.0   # words\n', [['wordtrim', '1.2.0', null, 'registry', 1]]],
    ['a range', 'wordtrim>=1.2,<2\n', [['wordtrim', null, '>=1.2,<2', 'registry', 1]]],
    ['a wildcard is a range', 'wordtrim==1.*\n', [['wordtrim', null, '==1.*', 'registry', 1]]],
    ['a bare name', 'wordtrim\n', [['wordtrim', null, '', 'registry', 1]]],
    ['parentheses', 'wordtrim (>=1.0)\n', [['wordtrim', null, '>=1.0', 'registry', 1]]],
    ['extras', 'uvicorn[standard]==0.30.1\n', [['uvicorn', '0.30.1', null, 'registry', 1]]],
    ['a marker', 'tomli==2.0.1 ; python_version < "3.11"\n', [['tomli', '2.0.1', null, 'registry', 1]]],
    ['a URL after @', 'wordtrim @ https://example.invalid/w.whl\n', [['wordtrim', null, null, 'url', 1]]],
    ['a repository after @', 'wordtrim @ git+https://example.invalid/w\n', [['wordtrim', null, null, 'vcs', 1]]],
    ['a file after @', 'wordtrim @ file:///tmp/w\n', [['wordtrim', null, null, 'path', 1]]],
    ['a bare repository', 'git+https://example.invalid/w#egg=wordtrim\n', [['wordtrim', null, null, 'vcs', 1]]],
    ['an editable folder', '-e ./lib#egg=wordtrim\n', [['wordtrim', null, null, 'editable', 1]]],
    ['a wheel file', './wheels/wordtrim-1.2.0-py3-none-any.whl\n', [['wordtrim', null, null, 'path', 1]]],
    [
      'an old Mac line end',
      'a==1\rb==2',
      [
        ['a', '1', null, 'registry', 1],
        ['b', '2', null, 'registry', 2],
      ],
    ],
    ['a byte order mark', '\uFEFFa==1', [['a', '1', null, 'registry', 1]]],
  ])('reads %s', (_, text, expected) => {
    expect(pinsOf(text)).toEqual(expected);
  });

  it.each([
    ['a comment', '# wordtrim==1.2.0\n'],
    ['an unnamed folder', './lib\n'],
    ['an unnamed editable', '-e .\n'],
    ['an environment variable', '${NAME}==1.0\n'],
    ['an option', '--index-url=https://example.invalid/simple\n'],
    ['a name of look-alike letters', 'wоrdtrim==1.2.0\n'],
    ['a version that is none', 'wordtrim==latest\n'],
    ['shell text', 'wordtrim; rm -rf /\n;\n$(id)\n`id`\n'.split('\n').slice(1).join('\n')],
    ['a comment inside a continuation', 'wordtrim==1.2.0 \\\n# gone\n'.replace('wordtrim==1.2.0 ', '')],
  ])('gives no pin for %s', (_, text) => {
    expect(pinsOf(text)).toEqual([]);
  });

  it('joins hashes over continued lines', () => {
    const text = `wordtrim==1.2.0 \\\n    --hash=sha256:${HEX} \\\n    --hash=sha256:${HEX.replaceAll('ab', 'cd')}\nnext==2\n`;
    const { pins } = parseRequirements(text, 'r.txt');
    expect(pins[0]?.hashes).toEqual([`sha256:${HEX}`, `sha256:${HEX.replaceAll('ab', 'cd')}`]);
    expect(pins[1]).toMatchObject({ name: 'next', version: '2', line: 4, hashes: [] });
  });

  it('lists includes, constraints and foreign indexes', () => {
    const text =
      '-r base.txt\n-rmore.txt\n--requirement=x.txt\n-c lock.txt\n--extra-index-url https://e.invalid/s\n-f ./w\n';
    const parsed = parseRequirements(text, 'r.txt');
    expect(parsed.includes).toEqual(['base.txt', 'more.txt', 'x.txt']);
    expect(parsed.constraints).toEqual(['lock.txt']);
    expect(parsed.indexes).toEqual(['https://e.invalid/s', './w']);
  });

  it('never throws and never invents a pin, whatever the text', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        'a',
        'wordtrim',
        '==1.2.0',
        '>=1',
        ' ; ',
        '#',
        '\\\n',
        '\n',
        '-r ',
        '-e ',
        '@',
        '[x]',
        ' --hash=sha256:',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join('');
        for (const pin of parseRequirements(text, 'r.txt').pins) {
          expect(isDistributionName(pin.name)).toBe(true);
          expect(text.replace(/\\(?:\r\n|\r|\n)/g, '')).toContain(pin.name);
          if (pin.version !== null) expect(text.replace(/\\(?:\r\n|\r|\n)/g, '')).toContain(pin.version);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads back every plain pin that is written', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9]{0,20}$/);
    const version = fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99)).map((v) => v.join('.'));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, version), { maxLength: 20 }), (wanted) => {
        const text = wanted.map(([n, v]) => `${n}==${v}`).join('\n');
        expect(pinsOf(text).map(([n, v]) => [n, v])).toEqual(wanted);
      }),
    );
  });
});

describe('one requirement', () => {
  it.each(['', '-x', '../x', 'a b', 'a==1 b', 'x'.repeat(300), 'a==1;\n', '=1'])('refuses %j', (text) => {
    const parsed = parseRequirement(text);
    expect(parsed === null || text.startsWith(parsed.name)).toBe(true);
    if (text !== 'a==1;\n') expect(parsed).toBeNull();
  });
});
