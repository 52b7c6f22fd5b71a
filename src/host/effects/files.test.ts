import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ChmodStep, MoveStep, WriteFileStep } from '../../core/plan.ts';
import { benchFor, type EffectBench } from '../../testing/effect-bench.ts';
import { createScratch, type Scratch } from '../../testing/scratch.ts';
import { createRun } from '../run.ts';
import { sha256Of } from '../safe-files.ts';
import { describeTree } from '../tree.ts';
import { chmodEffect } from './chmod.ts';
import { makeFolderEffect } from './make-folder.ts';
import { move } from './move.ts';
import { writeFileEffect } from './write-file.ts';

let scratch: Scratch;
let project: string;
const run = createRun({ home: '/nonexistent' });
const undo = { kind: 'restore-snapshot' } as const;
const sha = (text: string): string => sha256Of(Buffer.from(text));
const text = (name: string): string => readFileSync(join(project, name), 'utf8');

beforeEach(() => {
  scratch = createScratch();
  mkdirSync(scratch.path('project'));
  project = scratch.path('project');
});
afterEach(() => scratch.close());

const state = (): string => scratch.path('state');
const tree = async (): Promise<readonly (readonly [string, string])[]> => [...((await describeTree(project)) ?? [])];

function writing(
  step: Partial<WriteFileStep> & Pick<WriteFileStep, 'path' | 'content'>,
  copies = new Map<string, Uint8Array>(),
): EffectBench {
  const whole: WriteFileStep = {
    kind: 'write-file',
    title: 'test',
    undo,
    before: null,
    mode: 0o600,
    ...step,
    path: join(project, step.path),
  };
  return benchFor(writeFileEffect, whole, { run, state: state(), goodCopies: copies });
}

function moving(step: Pick<MoveStep, 'from' | 'to' | 'before'> & Partial<MoveStep>): EffectBench {
  const whole: MoveStep = {
    kind: 'move',
    title: 'test',
    undo,
    ...step,
    from: join(project, step.from),
    to: join(project, step.to),
  };
  return benchFor(move, whole, { run, state: state() });
}

async function thereAndBack(bench: EffectBench): Promise<void> {
  const before = await tree();
  await bench.snapshot();
  expect(await bench.probe()).toBe('not-done');
  expect(await bench.differences()).toEqual([]);
  await bench.apply();
  expect(await bench.probe()).toBe('done');
  expect(await bench.differences()).not.toEqual([]);
  await bench.undo();
  await bench.undo();
  expect(await bench.differences()).toEqual([]);
  expect(await tree()).toEqual(before);
}

describe('write-file', () => {
  const put = (name: string, content: string, mode = 0o640): void => {
    writeFileSync(join(project, name), content);
    chmodSync(join(project, name), mode);
  };

  it('replaces, creates and takes back', async () => {
    put('config.json', 'broken');
    await thereAndBack(writing({ path: 'config.json', content: { text: 'good' }, before: sha('broken') }));
    await thereAndBack(writing({ path: '.env', content: { text: 'A=1\n' } }));
  });

  it('keeps the broken file itself beside the new one, and brings that very file back', async () => {
    put('config.json', 'broken');
    const inode = statSync(join(project, 'config.json')).ino;
    const step = {
      path: 'config.json',
      content: { text: 'good' },
      before: sha('broken'),
      keepAs: 'config.json.selfheal-broken-{plan}',
    };
    await thereAndBack(writing(step));
    expect(statSync(join(project, 'config.json')).ino).toBe(inode);
    const bench = writing(step);
    await bench.snapshot();
    await bench.apply();
    expect([text('config.json'), text('config.json.selfheal-broken-1-1')]).toEqual(['good', 'broken']);
  });

  it('takes another name when an earlier copy has this one', async () => {
    put('a.json', 'broken');
    put('a.json.kept-1-1', 'earlier');
    const bench = writing({
      path: 'a.json',
      content: { text: 'good' },
      before: sha('broken'),
      keepAs: 'a.json.kept-{plan}',
    });
    await bench.snapshot();
    await bench.apply();
    expect([text('a.json.kept-1-1'), text('a.json.kept-1-1-2')]).toEqual(['earlier', 'broken']);
  });

  it('writes a stored copy without its content ever standing in the plan', async () => {
    const copies = new Map([['7', Buffer.from([0x7b, 0x7d, 0xff, 0x00])]]);
    const bench = writing({ path: 'config.json', content: { copy: '7' } }, copies);
    await bench.snapshot();
    await bench.apply();
    expect(readFileSync(join(project, 'config.json'))).toEqual(copies.get('7'));
    await expect(writing({ path: 'other', content: { copy: '8' } }).snapshot()).rejects.toMatchObject({
      code: 'precondition',
    });
  });

  it('appends missing assignments and touches nothing that stands there', async () => {
    put('.env', '# mine\nA=changed', 0o600);
    const copies = new Map([['7', Buffer.from('A=old\nTOKEN="one\ntwo"\nB=2\n')]]);
    const step = {
      path: '.env',
      content: { append: { copy: '7', keys: ['TOKEN'] } },
      before: sha('# mine\nA=changed'),
    } as const;
    const bench = writing(step, copies);
    await thereAndBack(bench);
    await bench.snapshot();
    await bench.apply();
    expect(text('.env')).toBe('# mine\nA=changed\nTOKEN="one\ntwo"\n');
  });

  it('adds a text at the end', async () => {
    put('.env', 'A=1', 0o600);
    const bench = writing({ path: '.env', content: { added: 'B=2\n' }, before: sha('A=1') });
    await thereAndBack(bench);
    await bench.snapshot();
    await bench.apply();
    expect(text('.env')).toBe('A=1\nB=2\n');
  });

  it('cuts a torn tail', async () => {
    put('log.jsonl', '{"a":1}\n{"a":');
    const bench = writing({ path: 'log.jsonl', content: { firstBytes: 8 }, before: sha('{"a":1}\n{"a":') });
    await thereAndBack(bench);
    await bench.snapshot();
    await bench.apply();
    expect(text('log.jsonl')).toBe('{"a":1}\n');
  });

  it('refuses links, second names and what was edited since the plan', async () => {
    writeFileSync(scratch.path('secret'), 'secret');
    symlinkSync(scratch.path('secret'), join(project, 'link'));
    linkSync(scratch.path('secret'), join(project, 'twin'));
    put('edited', 'by a person');
    for (const [path, code] of [
      ['link', 'refused'],
      ['twin', 'refused'],
      ['edited', 'precondition'],
    ] as const)
      await expect(writing({ path, content: { text: 'x' }, before: sha('secret') }).snapshot()).rejects.toMatchObject({
        code,
      });
    expect(readFileSync(scratch.path('secret'), 'utf8')).toBe('secret');
  });

  it('refuses when the file was edited between snapshot and apply, and leaves the edit', async () => {
    put('config.json', 'broken');
    const bench = writing({ path: 'config.json', content: { text: 'good' }, before: sha('broken'), keepAs: 'kept' });
    await bench.snapshot();
    put('config.json', 'edited by a person');
    await expect(bench.apply()).rejects.toMatchObject({ code: 'precondition' });
    expect(readdirSync(project)).toEqual(['config.json']);
    expect(text('config.json')).toBe('edited by a person');
    expect(await bench.probe()).toBe('unclear');
  });

  it('says where the file that was there is kept, also when not beside it', async () => {
    put('.env', 'broken');
    const bench = writing({ path: '.env', content: { text: 'good' }, before: sha('broken') });
    await bench.snapshot();
    const kept = /what was there is kept as (\S+)$/.exec(await bench.apply())?.[1] ?? '';
    expect(readFileSync(kept, 'utf8')).toBe('broken');
    expect(readdirSync(project)).toEqual(['.env']);
  });

  it('does not take back what somebody else wrote afterwards', async () => {
    put('config.json', 'broken');
    const bench = writing({ path: 'config.json', content: { text: 'good' }, before: sha('broken') });
    await bench.snapshot();
    await bench.apply();
    put('config.json', 'edited by a person');
    await expect(bench.undo()).rejects.toMatchObject({ code: 'refused' });
    expect(text('config.json')).toBe('edited by a person');
  });

  it.each(['temporary file', 'twin', 'both names'])('recovers from a crash that left a %s', async (moment) => {
    put('config.json', 'broken');
    const before = await tree();
    const bench = writing({ path: 'config.json', content: { text: 'good' }, before: sha('broken'), keepAs: 'kept' });
    await bench.snapshot();
    const temporary = join(project, `.selfheal-1-1-0-${sha('config.json').slice(0, 12)}.tmp`);
    if (moment === 'temporary file') writeFileSync(temporary, 'go');
    if (moment === 'twin') linkSync(join(project, 'config.json'), join(project, 'kept'));
    if (moment === 'both names') {
      linkSync(join(project, 'config.json'), join(project, 'kept'));
      writeFileSync(temporary, 'good');
    }
    expect(await bench.probe()).toBe('not-done');
    expect(await tree()).toEqual(before);
    if (moment === 'twin') linkSync(join(project, 'config.json'), join(project, 'kept'));
    await bench.undo();
    expect(await bench.differences()).toEqual([]);
    expect(await tree()).toEqual(before);
    await bench.apply();
    expect([text('config.json'), text('kept')]).toEqual(['good', 'broken']);
  });

  it('recovers from a crash that left a new file under two names', async () => {
    const bench = writing({ path: 'new', content: { text: 'good' } });
    await bench.snapshot();
    writeFileSync(join(project, 'new'), 'good');
    linkSync(join(project, 'new'), join(project, `.selfheal-1-1-0-${sha('new').slice(0, 12)}.tmp`));
    expect(await bench.probe()).toBe('done');
    await bench.undo();
    expect(readdirSync(project)).toEqual([]);
  });

  it('keeps its copies where only we can read them', async () => {
    put('config.json', 'broken');
    const bench = writing({ path: 'config.json', content: { text: 'good' }, before: sha('broken') });
    await bench.snapshot();
    const modes = readdirSync(bench.context.snapshotDirectory).map(
      (name) => statSync(join(bench.context.snapshotDirectory, name)).mode & 0o777,
    );
    expect(modes).toEqual([0o600, 0o600]);
  });
});

describe('move', () => {
  it('moves a file or a folder aside and back', async () => {
    writeFileSync(join(project, 'state.json'), '{');
    await thereAndBack(moving({ from: 'state.json', to: 'state.json.quarantine-{plan}', before: sha('{') }));
    mkdirSync(join(project, 'sessions'));
    writeFileSync(join(project, 'sessions/a'), 'x');
    await thereAndBack(moving({ from: 'sessions', to: 'sessions.quarantine', before: null }));
  });

  it('never moves over something', async () => {
    writeFileSync(join(project, 'a'), 'x');
    writeFileSync(join(project, 'taken'), 'y');
    await expect(moving({ from: 'a', to: 'taken', before: sha('x') }).snapshot()).rejects.toMatchObject({
      code: 'precondition',
    });
    const bench = moving({ from: 'a', to: 'taken-{plan}', before: sha('x') });
    await bench.snapshot();
    writeFileSync(join(project, 'taken-1-1'), 'somebody was faster');
    await expect(bench.apply()).rejects.toMatchObject({ code: 'precondition' });
    expect([text('a'), text('taken-1-1')]).toEqual(['x', 'somebody was faster']);
  });

  it('leaves a lock alone that is another one than the plan saw', async () => {
    writeFileSync(join(project, 'index.lock'), '');
    const inode = statSync(join(project, 'index.lock')).ino;
    const step = { from: 'index.lock', to: 'index.lock.aside', before: sha(''), inode };
    renameSync(join(project, 'index.lock'), join(project, 'old'));
    writeFileSync(join(project, 'index.lock'), '');
    await expect(moving(step).snapshot()).rejects.toMatchObject({ code: 'precondition' });
    expect(existsSync(join(project, 'index.lock'))).toBe(true);
  });

  it('leaves a lock alone that a living process holds', async () => {
    writeFileSync(join(project, 'index.lock'), '');
    const code = `require('node:fs').openSync(${JSON.stringify(join(project, 'index.lock'))}, 'a'); console.log('held'); setInterval(() => {}, 1000)`;
    const holder = await scratch.start([process.execPath, '-e', code], { ready: 'held' });
    const bench = moving({ from: 'index.lock', to: 'index.lock.aside', before: sha('') });
    await expect(bench.snapshot()).rejects.toMatchObject({ code: 'precondition' });
    holder.child.kill('SIGKILL');
    await holder.ended;
  });

  it('puts the old file back even when the service has made a new one, and keeps that too', async () => {
    writeFileSync(join(project, 'state.json'), '{');
    const bench = moving({ from: 'state.json', to: 'state.json.quarantine', before: sha('{') });
    await bench.snapshot();
    await bench.apply();
    writeFileSync(join(project, 'state.json'), '{"fresh": true}');
    await bench.undo();
    expect(await bench.differences()).toEqual([]);
    expect([text('state.json'), text('state.json.selfheal-new-1-1')]).toEqual(['{', '{"fresh": true}']);
  });

  it('finishes or takes back what a crash left under two names', async () => {
    writeFileSync(join(project, 'a'), 'x');
    const bench = moving({ from: 'a', to: 'aside', before: sha('x') });
    await bench.snapshot();
    linkSync(join(project, 'a'), join(project, 'aside'));
    expect(await bench.probe()).toBe('not-done');
    await bench.undo();
    expect(await bench.differences()).toEqual([]);
    linkSync(join(project, 'a'), join(project, 'aside'));
    await bench.apply();
    expect(readdirSync(project)).toEqual(['aside']);
  });

  it('refuses links and what has changed', async () => {
    symlinkSync('/etc/passwd', join(project, 'link'));
    writeFileSync(join(project, 'a'), 'changed');
    await expect(moving({ from: 'link', to: 'x', before: sha('') }).snapshot()).rejects.toMatchObject({
      code: 'refused',
    });
    await expect(moving({ from: 'a', to: 'x', before: sha('x') }).snapshot()).rejects.toMatchObject({
      code: 'precondition',
    });
    await expect(moving({ from: 'gone', to: 'x', before: null }).snapshot()).rejects.toMatchObject({
      code: 'precondition',
    });
  });
});

describe('make-folder', () => {
  const making = (name: string, mode = 0o750): EffectBench =>
    benchFor(
      makeFolderEffect,
      { kind: 'make-folder', title: 'test', undo, path: join(project, name), mode },
      { run, state: state() },
    );

  it('makes one folder with its mode, and takes it back while it is empty', async () => {
    await thereAndBack(making('logs'));
  });

  it('leaves a folder alone that somebody has written into, and says so', async () => {
    const bench = making('logs');
    await bench.snapshot();
    await bench.apply();
    expect(statSync(join(project, 'logs')).mode & 0o777).toBe(0o750);
    writeFileSync(join(project, 'logs/a.log'), 'kept');
    await bench.undo();
    expect(readFileSync(join(project, 'logs/a.log'), 'utf8')).toBe('kept');
    expect(await bench.differences()).toEqual([]);
    const path = join(project, 'logs');
    const step = { kind: 'make-folder', title: 'test', undo, path, mode: 0o750 } as const;
    expect(await makeFolderEffect.left?.(step, {}, bench.context)).toContain('was left where it is');
    unlinkSync(join(project, 'logs/a.log'));
    expect(await bench.differences()).not.toEqual([]);
  });

  it.skipIf(process.getuid?.() !== 0)(
    'gives the owner that is on record, and takes no folder of another for its own',
    async () => {
      const step = { kind: 'make-folder', title: 'test', undo, path: join(project, 'logs'), mode: 0o750 } as const;
      const bench = benchFor(makeFolderEffect, { ...step, owner: { uid: 1234, gid: 2345 } }, { run, state: state() });
      await bench.snapshot();
      await bench.apply();
      expect(statSync(step.path)).toMatchObject({ uid: 1234, gid: 2345 });
      expect(await bench.probe()).toBe('done');
      chownSync(step.path, 1234, 1);
      expect(await bench.probe()).toBe('unclear');
    },
  );

  it('refuses where something stands, and a mode with which everybody could write', async () => {
    writeFileSync(join(project, 'logs'), '');
    await expect(making('logs').snapshot()).rejects.toMatchObject({ code: 'precondition' });
    await expect(making('other', 0o777).snapshot()).rejects.toMatchObject({ code: 'refused' });
  });
});

describe('chmod', () => {
  const changing = (from: number, to: number, name = 'key'): EffectBench => {
    const step: ChmodStep = { kind: 'chmod', title: 'test', undo, path: join(project, name), from, to };
    return benchFor(chmodEffect, step, { run, state: state() });
  };

  it('sets a mode and takes it back', async () => {
    writeFileSync(join(project, 'key'), 'k');
    chmodSync(join(project, 'key'), 0o644);
    await thereAndBack(changing(0o644, 0o600));
    mkdirSync(join(project, 'folder'), { mode: 0o700 });
    await thereAndBack(changing(0o700, 0o750, 'folder'));
  });

  it.skipIf(process.getuid?.() !== 0)('gives the owner back as well when it is taken back', async () => {
    const path = join(project, 'key');
    writeFileSync(path, 'k', { mode: 0o640 });
    chownSync(path, 1234, 2345);
    const bench = changing(0o640, 0o600);
    await bench.snapshot();
    await bench.apply();
    chownSync(path, 0, 0);
    expect(await bench.differences()).toHaveLength(2);
    await bench.undo();
    expect(statSync(path)).toMatchObject({ uid: 1234, gid: 2345 });
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(await bench.differences()).toEqual([]);
  });

  it('never gives set-id bits or leave to write for everybody', async () => {
    writeFileSync(join(project, 'key'), 'k', { mode: 0o600 });
    for (const to of [0o4755, 0o2755, 0o666, 0o1777])
      await expect(changing(0o600, to).snapshot()).rejects.toMatchObject({ code: 'refused' });
  });

  it('refuses when the mode or the file is another one by now', async () => {
    writeFileSync(join(project, 'key'), 'k', { mode: 0o600 });
    await expect(changing(0o644, 0o600).snapshot()).rejects.toMatchObject({ code: 'precondition' });
    const bench = changing(0o600, 0o640);
    await bench.snapshot();
    await bench.apply();
    writeFileSync(join(project, 'other'), 'k', { mode: 0o640 });
    unlinkSync(join(project, 'key'));
    renameSync(join(project, 'other'), join(project, 'key'));
    expect(await bench.probe()).toBe('unclear');
    await expect(bench.undo()).rejects.toMatchObject({ code: 'refused' });
  });

  it('never follows a link', async () => {
    writeFileSync(scratch.path('outside'), '', { mode: 0o600 });
    symlinkSync(scratch.path('outside'), join(project, 'key'));
    await expect(changing(0o777, 0o644).snapshot()).rejects.toMatchObject({ code: 'refused' });
    expect(statSync(scratch.path('outside')).mode & 0o777).toBe(0o600);
  });
});
