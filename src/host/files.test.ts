import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, mkdirSync, symlinkSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatOf } from '../core/config-format.ts';
import { createScratch, type Scratch } from '../testing/scratch.ts';
import type { ConfigFormat } from './contract.ts';
import { createFileProbe } from './files.ts';
import { envLines, parseConfig } from './parse.ts';

let scratch: Scratch;
const probe = createFileProbe();
beforeEach(() => {
  scratch = createScratch();
});
afterEach(() => scratch.close());

describe('the file probe', () => {
  it('says what stands under a name without following links', async () => {
    scratch.write('file', 'abc', 0o640);
    chmodSync(scratch.path('file'), 0o640);
    symlinkSync('file', scratch.path('link'));
    execFileSync('mkfifo', [scratch.path('fifo')]);
    expect(await probe.status(scratch.path('file'))).toMatchObject({ kind: 'file', bytes: 3, mode: 0o640, links: 1 });
    expect((await probe.status(scratch.path('link'))).kind).toBe('symlink');
    expect((await probe.status(scratch.path('fifo'))).kind).toBe('other');
    expect((await probe.status(scratch.path('none'))).kind).toBe('absent');
    expect((await probe.status(scratch.directory)).kind).toBe('directory');
  });

  it('reads text of plain files only', async () => {
    scratch.write('file', 'abc');
    scratch.write('big', 'x'.repeat(100));
    linkSync(scratch.path('big'), scratch.path('twin'));
    symlinkSync('/etc/passwd', scratch.path('link'));
    execFileSync('mkfifo', [scratch.path('fifo')]);
    const texts = ['file', 'link', 'fifo', 'twin', 'none'].map((name) => probe.text(scratch.path(name)));
    expect(await Promise.all(texts)).toEqual(['abc', null, null, null, null]);
    expect(await probe.text(scratch.path('file'), 2)).toBeNull();
    expect(await probe.sha256(scratch.path('fifo'))).toBeNull();
    expect(await probe.sha256(scratch.path('file'))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it.each([
    ['config.json', 'config.json'],
    ['./data/../config.json', 'config.json'],
    ['data/new.json', 'data/new.json'],
    ['loop-inside/new.json', 'data/new.json'],
    ['.', ''],
  ])('finds %s inside', async (path, expected) => {
    scratch.write('root/config.json', '');
    mkdirSync(scratch.path('root/data'));
    symlinkSync('data', scratch.path('root/loop-inside'));
    expect(await probe.inside(scratch.path('root'), path)).toBe(scratch.path('root', expected).replace(/\/$/, ''));
  });

  it.each(['../outside', '/etc/passwd', '/proc/self/environ', 'out/x', 'dangling', 'no/such/folder/x', '', 'a\0b'])(
    'refuses %j',
    async (path) => {
      scratch.write('outside', '');
      mkdirSync(scratch.path('root'));
      symlinkSync('..', scratch.path('root/out'));
      symlinkSync('/nowhere/at/all', scratch.path('root/dangling'));
      expect(await probe.inside(scratch.path('root'), path)).toBeNull();
    },
  );

  it('does not take a neighbour with the same beginning for inside', async () => {
    mkdirSync(scratch.path('root'));
    scratch.write('root2/x', '');
    expect(await probe.inside(scratch.path('root'), scratch.path('root2/x'))).toBeNull();
  });

  it('lists plain files that match, and never goes through a link', async () => {
    for (const name of ['a.json', 'b.yaml', 'deep/c.json', 'deep/er/d.json', '.env']) scratch.write(`root/${name}`, '');
    mkdirSync(scratch.path('elsewhere'));
    scratch.write('elsewhere/secret.json', '');
    symlinkSync(scratch.path('elsewhere'), scratch.path('root/linked'));
    symlinkSync(scratch.path('elsewhere/secret.json'), scratch.path('root/secret.json'));
    const root = scratch.path('root');
    const below = async (...patterns: string[]) =>
      (await probe.glob(root, patterns)).map((p) => p.slice(root.length + 1));
    expect(await below('*.json', '.env')).toEqual(['.env', 'a.json']);
    expect(await below('**/*.json')).toEqual(['a.json', 'deep/c.json', 'deep/er/d.json']);
    expect(await below('deep/*.json', 'deep/c.json')).toEqual(['deep/c.json']);
    expect(await below('linked/*', '../elsewhere/*', '/etc/*')).toEqual([]);
  });

  it('knows the room there is', async () => {
    const room = await probe.room(scratch.directory);
    expect(room?.freeBytes).toBeGreaterThan(0);
    expect(room?.readOnly).toBe(false);
    expect(await probe.room(scratch.path('none'))).toBeNull();
  });
});

describe('understanding configurations', () => {
  it.each<[ConfigFormat, string, readonly string[]]>([
    ['json', '{"a": {"b": 1}, "c": ["x"]}', ['a', 'a.b', 'c', 'c.0']],
    ['json', '\uFEFF{"a": 1}', ['a']],
    ['yaml', 'a:\n  b: 1\nc: [x]\n', ['a', 'a.b', 'c', 'c.0']],
    ['yaml', '# nothing\n', []],
    ['toml', '[a]\nb = 1\n', ['a', 'a.b']],
    ['env', 'A=1\n# note\nexport B="two\nlines"\nC=\n', ['A', 'B', 'C']],
    ['jsonl', '{"a":1}\n{"a":2}\n', []],
  ])('reads %s', (format, text, keys) => {
    expect(parseConfig(text, format)).toMatchObject({ ok: true, keys });
  });

  it.each<[ConfigFormat, string, number | null]>([
    ['json', '{\n  "name": "agent",\n  "workers": 2,\n  "lim', 4],
    ['json', '{"a": 1,}', 1],
    ['json', '', 1],
    ['yaml', 'a: 1\nb: c: d\n', 2],
    ['yaml', 'a: [1, 2\n', 2],
    ['toml', 'a = \n', 1],
    ['env', 'A=1\nTOKEN sk-secret\n', 2],
    ['env', 'A="never closed\nB=1\n', 1],
    ['jsonl', '{"a":1}\n{"a":', 2],
  ])('says where %s is broken', (format, text, line) => {
    expect(parseConfig(text, format)).toMatchObject({ ok: false, line });
  });

  it('never quotes the text in an error', () => {
    for (const format of ['json', 'yaml', 'toml', 'env', 'jsonl'] as const) {
      const parsed = parseConfig('A="hunter2\n{"key": hunter2: [}\n', format);
      expect(JSON.stringify(parsed)).not.toContain('hunter2');
    }
  });

  it('takes any text without throwing, in time', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 400 }),
        fc.constantFrom<ConfigFormat>('json', 'jsonl', 'yaml', 'toml', 'env'),
        (text, format) => {
          expect(typeof parseConfig(text, format).ok).toBe('boolean');
        },
      ),
      { numRuns: 400 },
    );
  });

  it('gives up on bombs', () => {
    expect(parseConfig(`${'['.repeat(5000)}${']'.repeat(5000)}`, 'json').ok).toBe(false);
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${['b', 'c', 'd', 'e', 'f', 'g', 'h'].map((k, i) => `${k}: &${k} [${Array(9).fill(`*${'abcdefg'[i]}`)}]`).join('\n')}\n`;
    expect(parseConfig(bomb, 'yaml').ok).toBe(false);
  });

  it('agrees with JSON.parse about JSON', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parseConfig(text, 'json').ok).toBe(true);
      }),
    );
  });

  it('takes over whole assignments', () => {
    const text = 'A=1\nexport KEY="one\ntwo # three"\n# KEY=old\nB=2\n';
    expect(envLines(text, ['KEY', 'B'])).toEqual(['export KEY="one', 'two # three"', 'B=2']);
    expect(envLines(text, ['NONE'])).toEqual([]);
  });

  it.each([
    ['/srv/.env', 'env'],
    ['/srv/.env.production', 'env'],
    ['config.JSON', 'json'],
    ['a.yml', 'yaml'],
    ['a.ndjson', 'jsonl'],
    ['main.py', null],
  ])('knows the format of %s', (path, format) => {
    expect(formatOf(path)).toBe(format);
  });
});
