// What happens to a log seldom, and all at once when it does.

import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Cursor } from '../store/contract.ts';
import { createScratch, type Scratch } from '../testing/scratch.ts';
import { SourceRig } from '../testing/source-rig.ts';
import type { Source } from './contract.ts';
import { createFileSource, type FileSourceOptions } from './file.ts';

let scratch: Scratch;
let log: string;
beforeEach(() => {
  scratch = createScratch();
  log = scratch.path('app.log');
});
afterEach(() => scratch.close());

const source = (options: Partial<FileSourceOptions> = {}): Source =>
  createFileSource({ id: 'f', service: null, patterns: [log], startAt: 'beginning', pollMs: 50, ...options });

async function read(from: Source, cursor: Cursor | null = null): Promise<SourceRig> {
  const rig = new SourceRig(from, cursor);
  scratch.later(() => rig.stop().then(() => {}));
  return rig.ready();
}

const line = (n: number): string => `2026-01-05 12:00:00,000 INFO agent handled request ${n}, as it always does`;
const lines = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, at) => `${line(from + at)}\n`).join('');

it('reads a packed file only when it is whole, though it stands there half written', async () => {
  writeFileSync(log, lines(1, 50));
  const first = await read(source());
  await first.untilLines(50);
  const cursor = await first.stop();
  appendFileSync(log, lines(51, 90));
  renameSync(log, `${log}.1`);
  writeFileSync(log, lines(91, 92));
  const packed = gzipSync(readFileSync(`${log}.1`));
  writeFileSync(`${log}.1.gz`, packed.subarray(0, packed.length >> 1));
  const second = await read(source(), cursor);
  await second.untilLines(42);
  appendFileSync(`${log}.1.gz`, packed.subarray(packed.length >> 1));
  unlinkSync(`${log}.1`);
  appendFileSync(log, lines(93, 93));
  await second.untilLines(43);
  expect(second.texts).toEqual(lines(51, 93).trimEnd().split('\n'));
});

it('does not read again what was copied and deleted, as a move between disks does', async () => {
  writeFileSync(log, lines(1, 20));
  const rig = await read(source());
  await rig.untilLines(20);
  copyFileSync(log, `${log}.1`);
  unlinkSync(log);
  writeFileSync(log, lines(21, 22));
  await rig.untilLines(22);
  expect(rig.texts).toEqual(lines(1, 22).trimEnd().split('\n'));
});

it('loses nothing of a storm of events, however many of them the kernel drops', async () => {
  mkdirSync(scratch.path('many'));
  const files = Array.from({ length: 600 }, (_, n) => scratch.path(`many/${n}.log`));
  for (const file of files) writeFileSync(file, '');
  const rig = await read(source({ patterns: [scratch.path('many/*.log')] }));
  // Twenty thousand events before anybody can look.
  for (let turn = 0; turn < 35; turn += 1)
    for (const [n, file] of files.entries()) appendFileSync(file, `${n} ${turn}\n`);
  await rig.untilLines(35 * files.length, 100_000);
  expect(new Set(rig.texts).size).toBe(35 * files.length);
}, 120_000);

it('takes no notice of a clock that jumps by a day, forward or back', async () => {
  let skew = 0;
  const jumping: Source = {
    ...source(),
    open: (context) => source().open({ ...context, clock: { ...context.clock, now: () => Date.now() + skew } }),
  };
  writeFileSync(log, lines(1, 2));
  const rig = await read(jumping);
  await rig.untilLines(2);
  for (const [at, jump] of [86_400_000, -86_400_000, 0].entries()) {
    skew = jump;
    appendFileSync(log, lines(3 + 2 * at, 3 + 2 * at));
    await rig.untilLines(3 + 2 * at);
    renameSync(log, `${log}.${3 - at}`);
    writeFileSync(log, lines(4 + 2 * at, 4 + 2 * at));
    await rig.untilLines(4 + 2 * at);
  }
  expect(rig.texts).toEqual(lines(1, 8).trimEnd().split('\n'));
});

it('sees what was written anew with the same size and the same time', async () => {
  writeFileSync(log, lines(1, 2));
  const time = new Date('2026-01-05T12:00:00Z');
  utimesSync(log, time, time);
  const rig = await read(source({ events: false, pollMs: 10 }));
  await rig.untilLines(2);
  // Long enough for it to count as still.
  const looks = rig.sights.length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(rig.sights.length).toBe(looks);
  writeFileSync(log, lines(3, 4));
  utimesSync(log, time, time);
  await rig.untilLines(4);
  expect(rig.texts).toEqual(lines(1, 4).trimEnd().split('\n'));
});
