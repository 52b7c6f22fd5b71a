// The journal source against a strict stand-in for journalctl: places, gaps, and whose words count.

import { mkdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { LogRecord } from '../core/record.ts';
import { createJournalStarter } from '../host/journal.ts';
import type { Cursor } from '../store/contract.ts';
import { Journal, type JournalFields } from '../testing/journalctl.ts';
import { createScratch, type Scratch } from '../testing/scratch.ts';
import { keepsTheSourceContract } from '../testing/source-contract.ts';
import { SourceRig } from '../testing/source-rig.ts';
import { createJournaldSource } from './journald.ts';

const UNIT = 'agent.service';
let scratch: Scratch;
let journal: Journal;
let records: LogRecord[];

beforeEach(() => {
  scratch = createScratch();
  journal = new Journal(scratch.directory);
  records = [];
});
afterEach(() => scratch.close());

const said = (text: unknown, more: JournalFields = {}): JournalFields => ({
  MESSAGE: text,
  PRIORITY: '6',
  _TRANSPORT: 'stdout',
  _SYSTEMD_UNIT: UNIT,
  SYSLOG_IDENTIFIER: 'python',
  ...more,
});

async function follow(cursor: Cursor | null = null): Promise<SourceRig> {
  const source = createJournaldSource({
    service: 'agent',
    unit: 'agent',
    journal: createJournalStarter(scratch.directory),
    retryMs: 20,
  });
  const rig = new SourceRig(source, cursor, (item) => {
    if (item.kind === 'event') records.push(item.record);
  });
  scratch.later(() => rig.stop().then(() => {}));
  return rig.ready();
}

keepsTheSourceContract('journald', () => {
  const own = createScratch();
  const stored = new Journal(own.directory);
  mkdirSync(own.path('empty'));
  const options = { service: 'agent', unit: UNIT, retryMs: 20 };
  return {
    source: createJournaldSource({ ...options, journal: createJournalStarter(own.directory) }),
    absent: createJournaldSource({ ...options, journal: createJournalStarter(own.path('empty')) }),
    write: (line) => stored.add(said(line)),
    close: () => own.close(),
  };
});

it('takes level, time and logger from the fields of the entry', async () => {
  const rig = await follow();
  journal.add(said('disk is full', { PRIORITY: '3', _TRANSPORT: 'syslog', SYSLOG_IDENTIFIER: 'agent' }));
  await rig.untilLines(1);
  expect(records[0]).toMatchObject({
    source: 'journald:agent.service',
    service: 'agent',
    level: 'error',
    logger: 'agent',
  });
  expect(Math.abs((records[0]?.time ?? 0) - Date.now())).toBeLessThan(60_000);
});

it('does not believe that what a program prints is information: journald says so of everything', async () => {
  const rig = await follow();
  journal.add(said('ERROR it broke'));
  journal.add(said('<4>it creaks', { PRIORITY: '4' }));
  await rig.untilLines(2);
  expect(records.map(({ level }) => level)).toEqual([undefined, 'warn']);
});

it('takes nobody else at his word that he speaks for the unit', async () => {
  const rig = await follow();
  journal.add(
    said('forged', { _SYSTEMD_UNIT: 'evil.service', UNIT, OBJECT_SYSTEMD_UNIT: UNIT, _UID: '1000', _PID: '77' }),
  );
  journal.add(said('Main process exited', { _SYSTEMD_UNIT: 'init.scope', UNIT, _PID: '1' }));
  journal.add(said('dumped core', { _SYSTEMD_UNIT: 'coredump.service', COREDUMP_UNIT: UNIT, _UID: '0', _PID: '9' }));
  await rig.untilLines(2);
  expect(rig.texts).toEqual(['Main process exited', 'dumped core']);
});

it('reads messages of several lines, of bytes, given twice, and none', async () => {
  const rig = await follow();
  journal.add(said('Traceback (most recent call last):\n  File "a.py"\nKeyError: 1'));
  journal.add(said([...Buffer.from('caf\xe9 \u00e4', 'utf8'), 0xff]));
  journal.add(said(['one', 'two']));
  journal.add(said(null));
  await rig.untilLines(4);
  expect(rig.texts[0]?.split('\n')).toHaveLength(3);
  expect(rig.texts.slice(1)).toEqual(['caf\u00e9 \u00e4\ufffd', 'one\ntwo', '']);
});

it('says so when the journal no longer holds its place, and goes on with the oldest entry after it', async () => {
  const first = await follow();
  journal.add(said('one'));
  await first.untilLines(1);
  const cursor = await first.stop();
  journal.add(said('two'));
  journal.add(said('three'));
  journal.vacuum(2);
  const second = await follow(cursor);
  await second.untilLines(1);
  expect(second.texts).toEqual(['three']);
  expect(second.sights.find(({ kind }) => kind === 'blind')?.reason).toContain('no longer holds');
});

it('goes on by time when journalctl refuses the stored place', async () => {
  const first = await follow();
  journal.add(said('one'));
  await first.untilLines(1);
  const cursor = { ...(await first.stop()), entry: 'nonsense' };
  journal.add(said('two'));
  const second = await follow(cursor);
  await second.untilLines(1);
  journal.add(said('three'));
  await second.untilLines(2);
  expect(second.texts).toEqual(['two', 'three']);
  expect(second.sights.some(({ kind, reason }) => kind === 'blind' && reason.includes('cursor'))).toBe(true);
});

it('leaves out an entry that is too large or broken, says so, and reads the next', async () => {
  const rig = await follow();
  journal.add(said('x'.repeat(5 * 1024 * 1024)));
  journal.add(said('after it'));
  await rig.untilLines(1, 20_000);
  expect(rig.texts).toEqual(['after it']);
  expect(rig.sights.some(({ reason }) => reason.includes('left out'))).toBe(true);
});
