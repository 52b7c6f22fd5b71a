// Rows 1 to 22 of what goes wrong when logs are rotated, with real files: renamed, copied, truncated,
// compressed, deleted, linked. The oracle is always the same: each line that was written, once.

import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { closeSync, openSync, writeSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createScratch, type Scratch } from '../testing/scratch.ts';
import { SourceRig } from '../testing/source-rig.ts';
import type { Cursor } from '../store/contract.ts';
import { createFileSource, type FileSourceOptions } from './file.ts';

let scratch: Scratch;
let log: string;

beforeEach(() => {
  scratch = createScratch();
  log = scratch.path('app.log');
});
afterEach(() => scratch.close());

const BANNER = `${'-'.repeat(1500)}\n`;

/** Distinct lines as real logs have them. */
function lines(from: number, to: number, mark = ''): string {
  let text = '';
  for (let n = from; n <= to; n += 1) text += `${line(n, mark)}\n`;
  return text;
}

function line(n: number, mark = ''): string {
  return `2026-01-05 12:00:00,${String(n % 1000).padStart(3, '0')} INFO agent${mark} handled request ${n}`;
}

function numbers(rig: SourceRig): number[] {
  return rig.texts.filter((text) => text.includes('handled')).map((text) => Number(/\d+$/.exec(text)?.[0]));
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

describe.each([
  { events: true, pollMs: 50 },
  { events: false, pollMs: 20 },
])('a followed log (events: $events)', (timing) => {
  const source = (options: Partial<FileSourceOptions> = {}) =>
    createFileSource({
      id: 'file:test',
      service: 'agent',
      patterns: [log],
      startAt: 'beginning',
      lingerMs: 2_000,
      ...timing,
      ...options,
    });
  const open = async (cursor: Cursor | null = null, options: Partial<FileSourceOptions> = {}) => {
    const rig = new SourceRig(source(options), cursor);
    scratch.later(() => rig.stop().then(() => {}));
    return rig.ready();
  };

  it('gives the lines of both files once and in order when it is renamed and created anew', async () => {
    writeFileSync(log, lines(1, 3));
    const rig = await open();
    await rig.untilLines(3);
    appendFileSync(log, lines(4, 5));
    renameSync(log, `${log}.1`);
    writeFileSync(log, lines(6, 8));
    await rig.untilLines(8);
    expect(numbers(rig)).toEqual(upTo(8));
    expect(rig.lines.slice(-3).map((seen) => seen.line)).toEqual([1, 2, 3]);
    expect(rig.blocks.filter((block) => block.final)).toHaveLength(1);
  });

  it('gives lines that a slow writer adds to the renamed file', async () => {
    writeFileSync(log, lines(1, 3));
    const fd = openSync(log, 'a');
    const rig = await open();
    await rig.untilLines(3);
    renameSync(log, `${log}.1`);
    writeSync(fd, lines(4, 4));
    await rig.untilLines(4);
    writeFileSync(log, lines(5, 5));
    await rig.untilLines(5);
    writeSync(fd, lines(6, 6));
    closeSync(fd);
    await rig.untilLines(6);
    expect(numbers(rig)).toEqual(upTo(6));
    expect(rig.lines.at(-1)).toMatchObject({ line: 5, stream: `file:${log} (rotated)` });
  });

  it('reads a new file from its start although it got the inode of the old one', async () => {
    writeFileSync(log, lines(1, 3));
    const first = await open();
    await first.untilLines(3);
    const cursor = await first.stop();
    unlinkSync(log);
    // ext4 hands the inode out again at once; other file systems may not, and then there is nothing to confuse.
    writeFileSync(log, lines(11, 12, 'B'));
    const second = await open(cursor);
    await second.untilLines(2);
    expect(numbers(second)).toEqual([11, 12]);
  });

  it('reads a file anew that was deleted and made again with the same size', async () => {
    writeFileSync(log, lines(101, 103));
    const rig = await open();
    await rig.untilLines(3);
    unlinkSync(log);
    writeFileSync(log, lines(201, 203));
    await rig.untilLines(6);
    expect(numbers(rig)).toEqual([101, 102, 103, 201, 202, 203]);
  });

  it('catches up after a restart: the rest of the rotated file, then the new one', async () => {
    writeFileSync(log, lines(1, 3));
    const first = await open();
    await first.untilLines(3);
    const cursor = await first.stop();
    appendFileSync(log, lines(4, 5));
    renameSync(log, `${log}.1`);
    writeFileSync(log, lines(6, 7));
    const second = await open(cursor);
    await second.untilLines(4);
    expect(numbers(second)).toEqual([4, 5, 6, 7]);
    expect(second.lines[0]?.line).toBe(4);
  });

  it('catches up two rotations in order', async () => {
    writeFileSync(log, lines(1, 3));
    const first = await open();
    await first.untilLines(3);
    const cursor = await first.stop();
    appendFileSync(log, lines(4, 5));
    renameSync(log, `${log}.2`);
    writeFileSync(`${log}.1`, lines(6, 7));
    writeFileSync(log, lines(8, 9));
    const second = await open(cursor);
    await second.untilLines(6);
    expect(numbers(second)).toEqual([4, 5, 6, 7, 8, 9]);
  });

  it('reads the rest of a rotated file that has been compressed meanwhile, and nothing of it twice', async () => {
    writeFileSync(log, BANNER + lines(1, 3));
    const first = await open();
    await first.untilLines(4);
    const cursor = await first.stop();
    appendFileSync(log, lines(4, 5));
    renameSync(log, `${log}.2`);
    execFileSync('gzip', [`${log}.2`]);
    writeFileSync(`${log}.1`, lines(6, 7));
    writeFileSync(log, lines(8, 8));
    const second = await open(cursor);
    await second.untilLines(5);
    expect(numbers(second)).toEqual([4, 5, 6, 7, 8]);
    const third = await open(await second.stop());
    appendFileSync(log, lines(9, 9));
    await third.untilLines(1);
    expect(numbers(third)).toEqual([9]);
  });

  it('finds a short log again although it was compressed', async () => {
    writeFileSync(log, lines(1, 1));
    const first = await open();
    await first.untilLines(1);
    const cursor = await first.stop();
    appendFileSync(log, lines(2, 2));
    execFileSync('gzip', [log]);
    writeFileSync(log, lines(3, 3));
    const second = await open(cursor);
    await second.untilLines(2);
    expect(numbers(second)).toEqual([2, 3]);
  });

  it('does not read the compressed copy of what it has read', async () => {
    writeFileSync(log, lines(1, 3));
    const rig = await open();
    await rig.untilLines(3);
    renameSync(log, `${log}.1`);
    writeFileSync(log, lines(4, 4));
    await rig.untilLines(4);
    writeFileSync(`${log}.2.gz`, gzipSync(lines(1, 3)));
    unlinkSync(`${log}.1`);
    renameSync(log, `${log}.1`);
    writeFileSync(log, lines(5, 5));
    await rig.untilLines(5);
    expect(numbers(rig)).toEqual(upTo(5));
  });

  it('says so when a compressed file is damaged, and goes on', async () => {
    writeFileSync(log, lines(1, 3));
    const first = await open();
    await first.untilLines(3);
    const cursor = await first.stop();
    const packed = gzipSync(lines(1, 3) + lines(4, 2000));
    writeFileSync(`${log}.1.gz`, packed.subarray(0, packed.length - 2000));
    unlinkSync(log);
    writeFileSync(log, lines(9001, 9001));
    const second = await open(cursor);
    await second.until((rig) => numbers(rig).includes(9001));
    expect(numbers(second).slice(0, 2)).toEqual([4, 5]);
    expect(second.sights.some((sight) => sight.kind === 'blind' && sight.reason.includes('damaged'))).toBe(true);
    expect(second.sights.at(-1)?.kind).toBe('sighted');
  });

  it('starts again at the first byte after copytruncate, and finds what it had missed in the copy', async () => {
    writeFileSync(log, lines(1, 3));
    const rig = await open();
    await rig.untilLines(3);
    const cursor = await rig.stop();
    appendFileSync(log, lines(4, 5));
    copyFileSync(log, `${log}.1`);
    truncateSync(log);
    appendFileSync(log, lines(6, 6));
    const second = await open(cursor);
    await second.untilLines(3);
    expect(numbers(second)).toEqual([4, 5, 6]);
    copyFileSync(log, `${log}.2`);
    truncateSync(log);
    appendFileSync(log, lines(7, 7));
    await second.untilLines(4);
    expect(numbers(second)).toEqual([4, 5, 6, 7]);
  });

  it('does not read a copy again that is shorter than what it had read', async () => {
    writeFileSync(log, lines(1, 3));
    const rig = await open();
    await rig.untilLines(3);
    copyFileSync(log, `${log}.1`);
    appendFileSync(log, lines(4, 4));
    await rig.untilLines(4);
    truncateSync(log);
    appendFileSync(log, lines(5, 5));
    await rig.untilLines(5);
    expect(numbers(rig)).toEqual(upTo(5));
  });

  it('notices a truncation although the file has grown past the old place', async () => {
    writeFileSync(log, lines(1, 2));
    const first = await open();
    await first.untilLines(2);
    const cursor = await first.stop();
    truncateSync(log);
    appendFileSync(log, lines(11, 19));
    const second = await open(cursor);
    await second.untilLines(9);
    expect(numbers(second)).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });

  it('skips the hole that a writer leaves which keeps its offset', async () => {
    const fd = openSync(log, 'w');
    writeSync(fd, lines(1, 2000));
    const rig = await open();
    await rig.untilLines(2000);
    truncateSync(log);
    writeSync(fd, lines(2001, 2002));
    closeSync(fd);
    await rig.untilLines(2002);
    expect(numbers(rig)).toEqual(upTo(2002));
    expect(rig.texts.at(-2)).toBe(line(2001));
  });

  it('rests at offset 0 of a file that was emptied', async () => {
    writeFileSync(log, lines(1, 3));
    const rig = await open();
    await rig.untilLines(3);
    truncateSync(log);
    await new Promise((resolve) => setTimeout(resolve, 5 * timing.pollMs));
    const seen = rig.blocks.length;
    const cursor = await rig.stop();
    expect(seen).toBeLessThan(5);
    appendFileSync(log, lines(1, 3));
    const second = await open(cursor);
    await second.untilLines(3);
    expect(numbers(second)).toEqual(upTo(3));
  });

  it('keeps two files apart that begin with the same banner', async () => {
    writeFileSync(log, BANNER + lines(1, 2));
    writeFileSync(scratch.path('other.log'), BANNER + lines(3, 4));
    const rig = await open(null, { patterns: [scratch.path('*.log')] });
    await rig.untilLines(6);
    expect(numbers(rig).sort()).toEqual(upTo(4));
    const cursor = await rig.stop();
    appendFileSync(scratch.path('other.log'), lines(5, 5));
    const second = await open(cursor, { patterns: [scratch.path('*.log')] });
    await second.untilLines(1);
    expect(numbers(second)).toEqual([5]);
  });

  it('reads every generation although all begin with the same banner', async () => {
    writeFileSync(log, BANNER + lines(1, 1));
    const first = await open();
    await first.untilLines(2);
    const cursor = await first.stop();
    renameSync(log, `${log}.2`);
    writeFileSync(`${log}.1`, BANNER + lines(2, 2));
    writeFileSync(log, BANNER + lines(3, 3));
    const second = await open(cursor);
    await second.untilLines(4);
    expect(numbers(second)).toEqual([2, 3]);
  });

  it('gives one line when a file grows from nothing byte by byte', async () => {
    writeFileSync(log, '');
    const rig = await open();
    appendFileSync(log, 'a');
    appendFileSync(log, 'b');
    const cursor = await rig.stop();
    const second = await open(cursor);
    appendFileSync(log, '\n');
    await second.untilLines(1);
    expect(second.texts).toEqual(['ab']);
  });

  it('gives the line of a file of three bytes', async () => {
    writeFileSync(log, 'hi\n');
    const rig = await open();
    await rig.untilLines(1);
    expect(rig.texts).toEqual(['hi']);
  });

  it('gives the lines of a file with two names once', async () => {
    writeFileSync(log, lines(1, 2));
    linkSync(log, scratch.path('twin.log'));
    const rig = await open(null, { patterns: [scratch.path('*.log')] });
    await rig.untilLines(2);
    linkSync(log, scratch.path('triplet.log'));
    appendFileSync(log, lines(3, 3));
    await rig.untilLines(3);
    writeFileSync(scratch.path('zebra.log'), lines(4, 4));
    await rig.untilLines(4);
    expect(numbers(rig)).toEqual(upTo(4));
  });

  it('goes on with a file that was moved to another watched directory', async () => {
    mkdirSync(scratch.path('a'));
    mkdirSync(scratch.path('b'));
    writeFileSync(scratch.path('a/app.log'), lines(1, 2));
    const patterns = [scratch.path('*/app.log')];
    const rig = await open(null, { patterns });
    await rig.untilLines(2);
    renameSync(scratch.path('a/app.log'), scratch.path('b/app.log'));
    appendFileSync(scratch.path('b/app.log'), lines(3, 3));
    await rig.untilLines(3);
    writeFileSync(scratch.path('a/app.log'), lines(4, 4));
    await rig.untilLines(4);
    expect(numbers(rig)).toEqual(upTo(4));
    const second = await open(await rig.stop(), { patterns });
    appendFileSync(scratch.path('b/app.log'), lines(5, 5));
    appendFileSync(scratch.path('a/app.log'), lines(6, 6));
    await second.untilLines(2);
    expect(numbers(second).sort()).toEqual([5, 6]);
  });

  it('reads a file that was renamed over the old one, after the rest of the old', async () => {
    writeFileSync(log, lines(1, 2));
    const rig = await open();
    await rig.untilLines(2);
    appendFileSync(log, lines(3, 3));
    scratch.write('next', lines(4, 5));
    renameSync(scratch.path('next'), log);
    await rig.untilLines(5);
    appendFileSync(log, lines(6, 6));
    await rig.untilLines(6);
    expect(numbers(rig)).toEqual(upTo(6));
  });

  it('reads a deleted file to its end and then lets it go', async () => {
    const many = lines(1, 50_000);
    writeFileSync(log, many);
    const rig = await open(null, { lingerMs: 100, patterns: [scratch.path('*.log')] });
    await rig.untilLines(1);
    unlinkSync(log);
    await rig.untilLines(50_000);
    expect(numbers(rig)).toEqual(upTo(50_000));
    await rig.until((seen) => seen.blocks.at(-1)?.final === true);
    await expect.poll(() => openFiles().filter((name) => name.startsWith(log)), { timeout: 5_000 }).toEqual([]);
  });

  it('survives a thousand rotations and the deletion of what was read, and keeps no descriptor', async () => {
    const before = openFiles().length;
    const rig = await open(null, { lingerMs: 50 });
    const writer = await scratch.start([process.execPath, '-e', ROTATING_WRITER, log, '1000', '10']);
    for (let count = 100; count <= 10_000; count += 100) {
      await rig.untilLines(count, 200_000);
      // In one go, for the writer looks at any moment.
      writeFileSync(`${log}.new`, `${count}`);
      renameSync(`${log}.new`, scratch.path('read-to'));
    }
    await writer.ended;
    expect(numbers(rig)).toEqual(upTo(10_000));
    expect(readdirSync(scratch.directory).filter((name) => name.includes('.log-')).length).toBeLessThan(1_000);
    await rig.stop();
    expect(openFiles().length).toBe(before);
  }, 240_000);

  it('keeps following when the whole directory is exchanged', async () => {
    mkdirSync(scratch.path('logs'));
    const file = scratch.path('logs/app.log');
    writeFileSync(file, lines(1, 2));
    const rig = await open(null, { patterns: [scratch.path('logs/*.log')] });
    await rig.untilLines(2);
    renameSync(scratch.path('logs'), scratch.path('logs-old'));
    mkdirSync(scratch.path('logs'));
    writeFileSync(file, lines(3, 3));
    await rig.untilLines(3);
    appendFileSync(file, lines(4, 4));
    await rig.untilLines(4);
    expect(numbers(rig)).toEqual(upTo(4));
    rmSync(scratch.path('logs-old'), { recursive: true });
  });
});

/** Writes numbered lines, renames the file away every so many, and deletes what was read to its end. For moments there is none. */
const ROTATING_WRITER = `
  const fs = require('node:fs');
  const [log, rotations, each] = process.argv.slice(1);
  const old = [];
  let n = 0;
  const line = () => '2026-01-05 12:00:00,000 INFO agent handled request ' + ++n + '\\n';
  const readTo = () => {
    try {
      return Number(fs.readFileSync(require('node:path').dirname(log) + '/read-to', 'utf8'));
    } catch {
      return 0;
    }
  };
  for (let turn = 0; turn < Number(rotations); turn += 1) {
    const fd = fs.openSync(log, 'a');
    for (let i = 0; i < Number(each); i += 1) fs.writeSync(fd, line());
    fs.closeSync(fd);
    if (turn === Number(rotations) - 1) break;
    const name = log + '-' + (20260101000 + turn);
    fs.renameSync(log, name);
    old.push({ name, last: n });
    for (const reached = readTo(); old.length > 3 && old[0].last <= reached; ) fs.unlinkSync(old.shift().name);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 8);
  }
`;

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}
