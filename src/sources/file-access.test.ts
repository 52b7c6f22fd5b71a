// What may stand under a pattern besides a log: links, pipes, directories, foreign files, nothing at all.
// A source never blocks, never follows a stranger's link, and says when it cannot see.

import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Cursor } from '../store/contract.ts';
import { createScratch, type Scratch } from '../testing/scratch.ts';
import { keepsTheSourceContract } from '../testing/source-contract.ts';
import { SourceRig } from '../testing/source-rig.ts';
import { createFileSource, type FileSourceOptions } from './file.ts';

let scratch: Scratch;
let log: string;

beforeEach(() => {
  scratch = createScratch();
  log = scratch.path('app.log');
});
afterEach(() => scratch.close());

const isRoot = process.geteuid?.() === 0;
/** Any user who is neither root nor us. */
const STRANGER = 65_534;

function isOpenOn(fd: string, path: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === path;
  } catch {
    return false;
  }
}

async function follow(options: Partial<FileSourceOptions> = {}, cursor: Cursor | null = null): Promise<SourceRig> {
  const defaults = { id: 'file:test', service: null, patterns: [log], startAt: 'beginning', pollMs: 20 } as const;
  const rig = new SourceRig(createFileSource({ ...defaults, ...options }), cursor);
  scratch.later(() => rig.stop().then(() => {}));
  return rig.ready();
}

function isBlind(rig: SourceRig): boolean {
  return rig.sights.at(-1)?.kind === 'blind';
}

keepsTheSourceContract('file', () => {
  const own = createScratch();
  own.write('app.log', '');
  const options = { id: 'file:test', service: null, pollMs: 20 };
  return {
    source: createFileSource({ ...options, patterns: [own.path('app.log')] }),
    absent: createFileSource({ ...options, patterns: [own.path('none.log')] }),
    write: (line) => appendFileSync(own.path('app.log'), `${line}\n`),
    close: () => own.close(),
  };
});

describe('links', () => {
  it('may be pointed at another file: the old one is read to its end, the new one from its start', async () => {
    scratch.write('releases/1/app.log', 'one\n');
    scratch.write('releases/2/app.log', 'three\n');
    symlinkSync(scratch.path('releases/1'), scratch.path('current'));
    const rig = await follow({ patterns: [scratch.path('current/app.log')] });
    await rig.untilLines(1);
    appendFileSync(scratch.path('releases/1/app.log'), 'two\n');
    symlinkSync(scratch.path('releases/2'), scratch.path('next'));
    renameSync(scratch.path('next'), scratch.path('current'));
    await rig.untilLines(3);
    appendFileSync(scratch.path('releases/2/app.log'), 'four\n');
    await rig.untilLines(4);
    expect(rig.texts).toEqual(['one', 'two', 'three', 'four']);
  });

  it('may be pointed back: what was read is not read again', async () => {
    scratch.write('a.txt', 'a1\n');
    scratch.write('b.txt', 'b1\n');
    const point = (name: string) => {
      symlinkSync(scratch.path(name), scratch.path('link'));
      renameSync(scratch.path('link'), log);
    };
    point('a.txt');
    const rig = await follow();
    await rig.untilLines(1);
    point('b.txt');
    await rig.untilLines(2);
    point('a.txt');
    appendFileSync(scratch.path('a.txt'), 'a2\n');
    await rig.untilLines(3);
    expect(rig.texts).toEqual(['a1', 'b1', 'a2']);
  });

  it('may dangle until their target is made', async () => {
    symlinkSync(scratch.path('later.txt'), log);
    const rig = await follow();
    await rig.until(isBlind);
    scratch.write('later.txt', 'here\n');
    await rig.untilLines(1);
    await rig.until((seen) => !isBlind(seen));
  });

  it('that lead round in circles are reported, not followed', async () => {
    symlinkSync(scratch.path('b'), scratch.path('a'));
    symlinkSync(scratch.path('a'), scratch.path('b'));
    const rig = await follow({ patterns: [scratch.path('a')] });
    await rig.until(isBlind);
    expect(rig.sights.at(-1)?.reason).toContain('loop');
  });

  it.runIf(isRoot)('of another user are not followed to a file that is not his', async () => {
    scratch.write('secret', 'root only\n', 0o600);
    symlinkSync(scratch.path('secret'), log);
    lchownSync(log, STRANGER, STRANGER);
    const rig = await follow();
    await rig.until(isBlind);
    expect(rig.sights.at(-1)?.reason).toContain('another user');
    expect(rig.texts).toEqual([]);
  });

  it.runIf(isRoot)('of another user are followed to his own file', async () => {
    scratch.write('his', 'mine\n');
    chownSync(scratch.path('his'), STRANGER, STRANGER);
    symlinkSync(scratch.path('his'), log);
    lchownSync(log, STRANGER, STRANGER);
    const rig = await follow();
    await rig.untilLines(1);
    expect(rig.texts).toEqual(['mine']);
  });
});

describe('patterns', () => {
  it('take up files that appear later, also in new directories, from their start', async () => {
    const rig = await follow({ patterns: [scratch.path('**/*.log')] });
    writeFileSync(log, 'one\n');
    await rig.untilLines(1);
    scratch.write('deep/er/x.log', 'two\n');
    await rig.untilLines(2);
    appendFileSync(scratch.path('deep/er/x.log'), 'three\n');
    await rig.untilLines(3);
    expect(rig.texts).toEqual(['one', 'two', 'three']);
  });

  it('leave alone what was written before the first start', async () => {
    writeFileSync(log, 'old\nold too\n');
    writeFileSync(`${log}.1`, 'older\n');
    const rig = await follow({ startAt: 'end', patterns: [scratch.path('*.log')] });
    appendFileSync(log, 'new\n');
    await rig.untilLines(1);
    writeFileSync(scratch.path('b.log'), 'from the start\n');
    await rig.untilLines(2);
    expect(rig.lines).toMatchObject([
      { text: 'new', line: 3 },
      { text: 'from the start', line: 1 },
    ]);
  });

  it('store where they began before anything happens', async () => {
    writeFileSync(log, 'old\n');
    const first = await follow({ startAt: 'end' });
    await first.until((rig) => rig.cursor !== null);
    const cursor = await first.stop();
    appendFileSync(log, 'while away\n');
    const second = await follow({ startAt: 'end' }, cursor);
    await second.untilLines(1);
    expect(second.lines).toMatchObject([{ text: 'while away', line: 2 }]);
  });

  it('know braces, also over directories, and ignore what they are told to', async () => {
    scratch.write('a/x.log', 'a\n');
    scratch.write('b/c/y.txt', 'c\n');
    scratch.write('b/c/own.txt', 'ours\n');
    const rig = await follow({
      patterns: [scratch.path('{a/*.log,b/c/*.txt}')],
      ignore: [scratch.path('**/own.txt')],
    });
    await rig.untilLines(2);
    expect([...rig.texts].sort()).toEqual(['a', 'c']);
  });

  it('work with names that are no text', async () => {
    const strange = Buffer.concat([
      Buffer.from(scratch.path('n\new"'), 'utf8'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('.log'),
    ]);
    writeFileSync(strange, 'one\n');
    const patterns = [scratch.path('*.log')];
    const first = await follow({ patterns });
    await first.untilLines(1);
    const cursor = await first.stop();
    appendFileSync(strange, 'two\n');
    const second = await follow({ patterns }, cursor);
    await second.untilLines(1);
    expect([...first.texts, ...second.texts]).toEqual(['one', 'two']);
  });

  it('skip directories, pipes and sockets without waiting for them', async () => {
    mkdirSync(scratch.path('dir.log'));
    execFileSync('mkfifo', [scratch.path('pipe.log')]);
    const server = createServer().listen(scratch.path('socket.log'));
    scratch.later(() => new Promise<void>((done) => server.close(() => done())));
    await new Promise((done) => server.once('listening', done));
    writeFileSync(log, 'one\n');
    const rig = await follow({ patterns: [scratch.path('*.log')] });
    await rig.untilLines(1);
    expect(rig.sights.filter((sight) => sight.kind === 'blind')).toEqual([]);
  });

  it('say so when a named log is a pipe', async () => {
    execFileSync('mkfifo', [log]);
    const rig = await follow();
    await rig.until(isBlind);
    expect(rig.sights.at(-1)?.reason).toContain('not a regular file');
  });

  it('tell once that nothing matches, and when something does', async () => {
    const rig = await follow({ patterns: [scratch.path('none/*.log')] });
    await rig.until(isBlind);
    scratch.write('none/x.log', 'one\n');
    await rig.untilLines(1);
    expect(rig.sights.map((sight) => sight.kind)).toEqual(['blind', 'sighted']);
  });
});

describe('blindness', () => {
  it('is told when a named log is missing, and its end', async () => {
    const rig = await follow();
    await rig.until(isBlind);
    expect(rig.sights.at(-1)).toMatchObject({ stream: `file:${log}`, reason: 'does not exist' });
    writeFileSync(log, 'one\n');
    await rig.untilLines(1);
    await rig.until((seen) => !isBlind(seen));
  });

  it.runIf(isRoot)('is told once when the right to read is lost, and reading goes on where it was', async () => {
    writeFileSync(log, 'one\n');
    chownSync(log, STRANGER, STRANGER);
    chmodSync(scratch.directory, 0o755);
    process.seteuid?.(STRANGER);
    scratch.later(() => process.seteuid?.(0));
    // The descriptor of a quiet file is given back at once here, so it has to be opened again.
    const rig = await follow({ maxOpen: 0 });
    await rig.untilLines(1);
    await expect.poll(() => readdirSync('/proc/self/fd').some((fd) => isOpenOn(fd, log))).toBe(false);
    chmodSync(log, 0);
    process.seteuid?.(0);
    appendFileSync(log, 'two\n');
    process.seteuid?.(STRANGER);
    await rig.until(isBlind);
    expect(rig.sights.at(-1)?.reason).toBe('permission denied');
    chmodSync(log, 0o600);
    await rig.untilLines(2);
    expect(rig.texts).toEqual(['one', 'two']);
    await rig.until((seen) => !isBlind(seen));
    expect(rig.sights.map((sight) => sight.kind)).toEqual(['sighted', 'blind', 'sighted']);
  });

  it('is told when a writer is too fast to be followed, and nothing is left out', async () => {
    writeFileSync(log, `${'x'.repeat(99)}\n`.repeat(50_000));
    const rig = await follow({ tooFarBytes: 1_000_000 });
    await rig.untilLines(50_000);
    expect(rig.texts).toHaveLength(50_000);
    await rig.until((seen) => !isBlind(seen));
    expect(rig.sights.map((sight) => sight.kind)).toEqual(['sighted', 'blind', 'sighted']);
  });

  it('follows many files with few descriptors', async () => {
    for (let n = 0; n < 300; n += 1) scratch.write(`many/${n}.log`, `${n} one\n`);
    const before = readdirSync('/proc/self/fd').length;
    const rig = await follow({ patterns: [scratch.path('many/*.log')], maxOpen: 20 });
    await rig.untilLines(300);
    await expect.poll(() => readdirSync('/proc/self/fd').length - before).toBeLessThan(40);
    for (let n = 0; n < 300; n += 1) appendFileSync(scratch.path(`many/${n}.log`), `${n} two\n`);
    await rig.untilLines(600);
    expect(new Set(rig.texts).size).toBe(600);
    renameSync(scratch.path('many/7.log'), scratch.path('many/7.log.1'));
    scratch.write('many/7.log', '7 three\n');
    await rig.untilLines(601);
    expect(rig.texts.at(-1)).toBe('7 three');
  });

  it('stops at once when told to', async () => {
    writeFileSync(log, 'one\n');
    const rig = await follow({ pollMs: 60_000 });
    await rig.untilLines(1);
    const began = performance.now();
    await rig.stop();
    expect(performance.now() - began).toBeLessThan(500);
  });

  it('a reader that is slow holds the reading up, not the memory', async () => {
    writeFileSync(log, `${'x'.repeat(999)}\n`.repeat(64 * 1024));
    let items = 0;
    const source = createFileSource({ id: 'f', service: null, patterns: [log], startAt: 'beginning', pollMs: 20 });
    const rss = process.memoryUsage().rss;
    const rig = new SourceRig(source, null, async (item) => {
      if (item.kind !== 'block') return;
      items += 1;
      if (items < 20) await new Promise((resolve) => setTimeout(resolve, 20));
    });
    scratch.later(() => rig.stop().then(() => {}));
    await rig.until(() => items === 10);
    expect(rig.lines.length).toBeLessThan(10 * 270);
    expect(process.memoryUsage().rss - rss).toBeLessThan(48 * 1024 * 1024);
    await rig.untilLines(64 * 1024);
  });
});
