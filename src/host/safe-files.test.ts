import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createScratch, type Scratch } from '../testing/scratch.ts';
import {
  chmodSafely,
  clearLeftovers,
  hasLeftovers,
  moveSafely,
  readSafely,
  removeSafely,
  sha256Of,
  writeFileSafely,
  type WriteRequest,
} from './safe-files.ts';
import { describeTree, treeDifferences } from './tree.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = createScratch();
});
afterEach(() => scratch.close());

const isRoot = process.getuid?.() === 0;
const text = (path: string): string => readFileSync(path, 'utf8');
const shaOf = (content: string): string => sha256Of(Buffer.from(content));
const request = (path: string, content: string, more: Partial<WriteRequest> = {}): WriteRequest => ({
  path,
  content: Buffer.from(content),
  before: null,
  mode: 0o600,
  tag: '1-1-0',
  ...more,
});

describe('writing a file', () => {
  it('creates it with its mode, whatever the umask says', async () => {
    const before = process.umask(0o000);
    try {
      await writeFileSafely(request(scratch.path('.env'), 'A=1\n'));
    } finally {
      process.umask(before);
    }
    expect(text(scratch.path('.env'))).toBe('A=1\n');
    expect(statSync(scratch.path('.env')).mode & 0o7777).toBe(0o600);
    expect(readdirSync(scratch.directory)).toEqual(['.env']);
  });

  it('keeps mode and owner of the file that was there', async () => {
    const path = scratch.write('config.json', 'old', 0o640);
    chmodSync(path, 0o640);
    if (isRoot) chownSync(path, 1234, 1235);
    await writeFileSafely(request(path, 'new', { before: shaOf('old') }));
    const stats = statSync(path);
    expect([text(path), stats.mode & 0o7777, stats.uid, stats.gid]).toEqual([
      'new',
      0o640,
      isRoot ? 1234 : process.getuid?.(),
      isRoot ? 1235 : process.getgid?.(),
    ]);
  });

  it.runIf(isRoot)('gives a new file to the owner of its folder', async () => {
    mkdirSync(scratch.path('srv'));
    chownSync(scratch.path('srv'), 1234, 1235);
    await writeFileSafely(request(scratch.path('srv/.env'), 'A=1\n'));
    expect([statSync(scratch.path('srv/.env')).uid, statSync(scratch.path('srv/.env')).gid]).toEqual([1234, 1235]);
  });

  it('never sets set-id bits', async () => {
    await writeFileSafely(request(scratch.path('a'), 'x', { mode: 0o4755 }));
    expect(statSync(scratch.path('a')).mode & 0o7777).toBe(0o755);
  });

  it('refuses when the content is not what the plan saw', async () => {
    const path = scratch.write('config.json', 'edited by a person');
    await expect(writeFileSafely(request(path, 'new', { before: shaOf('old') }))).rejects.toMatchObject({
      code: 'precondition',
    });
    await expect(writeFileSafely(request(path, 'new'))).rejects.toMatchObject({ code: 'precondition' });
    expect(text(path)).toBe('edited by a person');
    expect(readdirSync(scratch.directory)).toEqual(['config.json']);
  });

  it('refuses when the file has gone, or the folder has', async () => {
    const gone = writeFileSafely(request(scratch.path('config.json'), 'new', { before: shaOf('old') }));
    await expect(gone).rejects.toMatchObject({ code: 'precondition' });
    const nowhere = writeFileSafely(request(scratch.path('no/such/folder/a'), 'new'));
    await expect(nowhere).rejects.toMatchObject({ code: 'precondition' });
  });

  it.each(['there', 'dangling'])('never writes through a link (%s)', async (kind) => {
    const canary = scratch.path('outside');
    if (kind === 'there') writeFileSync(canary, 'secret');
    symlinkSync(canary, scratch.path('.env'));
    for (const before of [null, shaOf('secret')])
      await expect(writeFileSafely(request(scratch.path('.env'), 'x', { before }))).rejects.toMatchObject({
        code: 'refused',
      });
    expect(existsSync(canary) ? text(canary) : null).toBe(kind === 'there' ? 'secret' : null);
  });

  it('refuses a folder on the way that is a link', async () => {
    mkdirSync(scratch.path('outside'));
    symlinkSync(scratch.path('outside'), scratch.path('config'));
    await expect(writeFileSafely(request(scratch.path('config/a'), 'x'))).rejects.toMatchObject({ code: 'refused' });
    expect(readdirSync(scratch.path('outside'))).toEqual([]);
  });

  it('refuses a file with a second name, a FIFO, and paths with dots', async () => {
    writeFileSync(scratch.path('other'), 'x');
    linkSync(scratch.path('other'), scratch.path('twin'));
    execFileSync('mkfifo', [scratch.path('fifo')]);
    for (const path of [scratch.path('twin'), scratch.path('fifo'), `${scratch.directory}/../x`, 'relative'])
      await expect(writeFileSafely(request(path, 'new', { before: shaOf('x') }))).rejects.toMatchObject({
        code: 'refused',
      });
    expect(text(scratch.path('other'))).toBe('x');
  });

  it('keeps the old file itself under another name', async () => {
    const path = scratch.write('config.json', 'broken');
    const inode = statSync(path).ino;
    await writeFileSafely(request(path, 'good', { before: shaOf('broken'), keepAs: Buffer.from('config.json.kept') }));
    expect([text(path), text(`${path}.kept`), statSync(`${path}.kept`).ino]).toEqual(['good', 'broken', inode]);
  });

  it('goes on after a crash at any of its moments, and finds its leftovers', async () => {
    const path = scratch.write('config.json', 'broken');
    const wish = request(path, 'good', { before: shaOf('broken'), keepAs: Buffer.from('config.json.kept') });
    await writeFileSafely(wish);
    renameSync(`${path}.kept`, path);
    const leftover = `.selfheal-1-1-0-${shaOf('config.json').slice(0, 12)}.tmp`;
    writeFileSync(scratch.path(leftover), 'half of it');
    linkSync(path, `${path}.kept`);
    expect(await hasLeftovers(path, '1-1-0')).toBe(true);
    await clearLeftovers(path, '1-1-0', Buffer.from('config.json.kept'));
    expect(readdirSync(scratch.directory)).toEqual(['config.json']);
    writeFileSync(scratch.path(leftover), 'half of it');
    linkSync(path, `${path}.kept`);
    await writeFileSafely(wish);
    expect([text(path), text(`${path}.kept`)]).toEqual(['good', 'broken']);
    expect(readdirSync(scratch.directory).sort()).toEqual(['config.json', 'config.json.kept']);
  });

  it('never writes outside while folders are swapped for links under it', async () => {
    mkdirSync(scratch.path('outside'));
    mkdirSync(scratch.path('srv/config'), { recursive: true });
    const worker = swapper(scratch.path('srv/config'), scratch.path('outside'));
    let written = 0;
    for (let i = 0; i < 200; i++)
      await writeFileSafely(request(scratch.path(`srv/config/f${i}`), 'x')).then(
        () => written++,
        () => {},
      );
    await worker.terminate();
    expect(readdirSync(scratch.path('outside'))).toEqual([]);
    expect(written).toBeGreaterThan(0);
  });
});

/** Swaps a folder for a link to `outside` and back, as fast as it can. */
function swapper(folder: string, outside: string): Worker {
  const code = `
    const fs = require('node:fs'); const { folder, outside } = require('node:worker_threads').workerData;
    fs.symlinkSync(outside, folder + '.link');
    for (;;) {
      fs.renameSync(folder, folder + '.away'); fs.renameSync(folder + '.link', folder);
      fs.renameSync(folder, folder + '.link'); fs.renameSync(folder + '.away', folder);
    }`;
  return new Worker(code, { eval: true, workerData: { folder, outside } });
}

describe('removing, moving, modes', () => {
  it('removes only what has the content it was told', async () => {
    const path = scratch.write('a', 'ours');
    await expect(removeSafely(path, shaOf('theirs'))).rejects.toMatchObject({ code: 'precondition' });
    await removeSafely(path, shaOf('ours'));
    await removeSafely(path, shaOf('ours'));
    expect(existsSync(path)).toBe(false);
  });

  it('moves a file or a folder, and never over something', async () => {
    const path = scratch.write('a.lock', '');
    await moveSafely(path, `${path}.aside`, statSync(path, { bigint: false }).ino);
    expect(readdirSync(scratch.directory)).toEqual(['a.lock.aside']);
    scratch.write('a.lock', 'new');
    const inode = statSync(path).ino;
    await expect(moveSafely(path, `${path}.aside`, inode)).rejects.toMatchObject({ code: 'precondition' });
    scratch.write('folder/x', 'x');
    await moveSafely(scratch.path('folder'), scratch.path('moved'), statSync(scratch.path('folder')).ino);
    expect(text(scratch.path('moved/x'))).toBe('x');
  });

  it('moves only the very file it was told', async () => {
    const path = scratch.write('index.lock', '');
    await expect(moveSafely(path, `${path}.aside`, statSync(path).ino + 1)).rejects.toMatchObject({
      code: 'precondition',
    });
    expect(existsSync(path)).toBe(true);
  });

  it('finishes a move that a crash left half done', async () => {
    const path = scratch.write('a', 'x');
    linkSync(path, `${path}.aside`);
    await moveSafely(path, `${path}.aside`, statSync(path).ino);
    expect(readdirSync(scratch.directory)).toEqual(['a.aside']);
  });

  it('sets a mode that is what the plan saw, even of a file nobody may read', async () => {
    const path = scratch.write('state.json', '{}');
    chmodSync(path, 0o000);
    await chmodSafely(path, 0o000, 0o640);
    expect(statSync(path).mode & 0o7777).toBe(0o640);
    await expect(chmodSafely(path, 0o000, 0o600)).rejects.toMatchObject({ code: 'precondition' });
  });

  it('never changes the mode of what a link leads to', async () => {
    const target = scratch.write('target', '', 0o600);
    symlinkSync(target, scratch.path('key'));
    await expect(chmodSafely(scratch.path('key'), 0o777, 0o644)).rejects.toMatchObject({ code: 'refused' });
    expect(statSync(target).mode & 0o7777).toBe(0o600);
  });
});

describe('reading a file', () => {
  it('tells what stands there without following or hanging', async () => {
    symlinkSync('/etc/passwd', scratch.path('link'));
    execFileSync('mkfifo', [scratch.path('fifo')]);
    scratch.write('file', 'text');
    const kinds = await Promise.all(
      ['link', 'fifo', 'file', 'none', 'none/deeper'].map(async (name) => (await readSafely(scratch.path(name))).kind),
    );
    expect(kinds).toEqual(['link', 'unfit', 'file', 'absent', 'absent']);
  });
});

describe('describing a tree', () => {
  it('sees every change of content, mode, kind and name', async () => {
    const name = fc.constantFrom('a', 'b', 'dir/c', '-x', 'n\nl');
    await fc.assert(
      fc.asyncProperty(name, fc.constantFrom('content', 'mode', 'link', 'gone', 'new'), async (victim, change) => {
        const world = createScratch();
        try {
          for (const file of ['a', 'b', 'dir/c', '-x', 'n\nl']) world.write(file, 'same');
          symlinkSync('a', world.path('link'));
          const before = await describeTree(world.directory);
          if (change === 'content') writeFileSync(world.path(victim), 'other');
          if (change === 'mode') chmodSync(world.path(victim), 0o600);
          if (change === 'gone') renameSync(world.path(victim), scratch.path('away'));
          if (change === 'new') world.write(`${victim}.new`, '');
          if (change === 'link') {
            renameSync(world.path(victim), scratch.path('away'));
            symlinkSync('a', world.path(victim));
          }
          const after = await describeTree(world.directory);
          expect(treeDifferences(before ?? new Map(), after ?? new Map())).toEqual([
            change === 'new' ? `${victim}.new` : victim,
          ]);
        } finally {
          await world.close();
        }
      }),
      { numRuns: 40 },
    );
  });

  it('does not follow links', async () => {
    symlinkSync('/etc', scratch.path('etc'));
    expect([...((await describeTree(scratch.directory)) ?? [])]).toEqual([['etc', 'link /etc']]);
    expect(lstatSync(scratch.path('etc')).isSymbolicLink()).toBe(true);
    expect(readlinkSync(scratch.path('etc'))).toBe('/etc');
  });
});
