import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { nameBytes, parseRawDiff, parseStatus, quoteName, shownName, unquoteName } from './git-names.ts';

const anyName = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((bytes) => Buffer.from(bytes).toString('latin1').replaceAll('\0', 'x'));

describe('names as git prints them', () => {
  it('come back byte for byte from the form that git reads', () => {
    fc.assert(
      fc.property(anyName, (name) => {
        const quoted = quoteName(name);
        expect(/^[\x20-\x7e]*$/.test(quoted)).toBe(true);
        expect(unquoteName(quoted)).toBe(name);
      }),
    );
  });

  it('are read like git writes them', () => {
    const oddities: readonly (readonly [string, string])[] = [
      ['plain.txt', 'plain.txt'],
      ['with space', 'with space'],
      ['"a\\tb\\nc"', 'a\tb\nc'],
      ['"\\303\\244"', nameBytes('ä')],
      ['"\\377"', '\xff'],
      ['"q\\"uote\\\\"', 'q"uote\\'],
    ];
    for (const [printed, name] of oddities) expect(unquoteName(printed)).toBe(name);
    expect(shownName(nameBytes('ä'))).toBe('ä');
  });

  it('are understood by git itself, whatever bytes they hold', () => {
    fc.assert(
      fc.property(anyName, (name) => {
        fc.pre(!/(?:^|\/)(?:\.{0,2}|\.git)(?:\/|$)/i.test(name) && !/git/i.test(name));
        const id = 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391';
        const options = { env: { ...process.env, GIT_DIR: directory }, encoding: 'latin1' as const };
        execFileSync('git', ['read-tree', '--empty'], options);
        execFileSync('git', ['update-index', '--index-info'], {
          ...options,
          input: `100644 ${id}\t${quoteName(name)}\n`,
        });
        const printed = execFileSync('git', ['ls-files'], options).replace(/\n$/, '');
        expect(unquoteName(printed)).toBe(name);
      }),
      { numRuns: 40 },
    );
  });
});

const directory = mkdtempSync(join(tmpdir(), 'selfheal-git-names-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
execFileSync('git', ['init', '--quiet', '--bare', directory]);

describe('lists of git', () => {
  it('status is sorted into what it means', () => {
    const text = [
      '# branch.oid 1111111111111111111111111111111111111111',
      '# branch.head main',
      '1 M. N... 100644 100644 100644 1 2 staged file.txt',
      '1 .M N... 100644 100644 100644 1 2 edited.py',
      '1 MM N... 100644 100644 100644 1 2 "b\\303\\266th"',
      'u UU N... 100644 100644 100644 100644 1 2 3 conflict ed.py',
      '? new.txt',
    ].join('\n');
    expect(parseStatus(text)).toEqual({
      head: '1111111111111111111111111111111111111111',
      branch: 'main',
      staged: ['staged file.txt', nameBytes('böth')],
      modified: ['edited.py', nameBytes('böth')],
      unmerged: ['conflict ed.py'],
      untracked: ['new.txt'],
    });
    expect(parseStatus('# branch.oid (initial)\n# branch.head (detached)\n')).toMatchObject({
      head: null,
      branch: null,
    });
  });

  it('raw differences carry modes, ids and names', () => {
    expect(parseRawDiff(':100644 120000 aaaa bbbb T\t"l\\nk"\n:000000 100755 0000 cccc A\trun me\n')).toEqual([
      { oldMode: '100644', newMode: '120000', oldId: 'aaaa', newId: 'bbbb', status: 'T', name: 'l\nk' },
      { oldMode: '000000', newMode: '100755', oldId: '0000', newId: 'cccc', status: 'A', name: 'run me' },
    ]);
  });
});
