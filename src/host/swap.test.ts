import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listingDifferences, listTree } from './installed-tree.ts';
import { inodeOf, isSwapped, performSwap, prepareSwap, readSwap, revertSwap, type Swap } from './swap.ts';

let root: string;
let snapshots: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'selfheal-swap-'));
  snapshots = await mkdtemp(join(tmpdir(), 'selfheal-swap-'));
  await write('live/pkg/__init__.py', 'old');
  await write('live/pkg/data/table.txt', 'rows');
  await write('live/pkg-1.dist-info/METADATA', 'v1');
  await write('live/other.py', 'other');
  await chmod(join(root, 'live/pkg/data'), 0o700);
  await symlink('table.txt', join(root, 'live/pkg/data/link'));
});
afterEach(() => Promise.all([root, snapshots].map((folder) => rm(folder, { recursive: true }))));

async function write(path: string, text: string): Promise<void> {
  await mkdir(join(root, path, '..'), { recursive: true });
  await writeFile(join(root, path), text);
}

async function staged(): Promise<Omit<Swap, 'gone'>> {
  await write('live/.staging/root/pkg/__init__.py', 'new');
  await write('live/.staging/root/pkg-2.dist-info/METADATA', 'v2');
  await write('live/.staging/root/extra.py', 'extra');
  const [live, staging] = [join(root, 'live'), join(root, 'live/.staging')];
  const incoming = join(staging, 'root');
  const at = async (folder: string, path: string) => ({ path, inode: (await inodeOf(join(folder, path))) ?? 0 });
  return {
    live,
    staging,
    incoming,
    out: await Promise.all(['pkg', 'pkg-1.dist-info'].map((path) => at(live, path))),
    into: await Promise.all(['extra.py', 'pkg', 'pkg-2.dist-info'].map((path) => at(incoming, path))),
  };
}

/** Aborts at the look before move number `moves`. */
function stoppingAfter(moves: number): AbortSignal {
  let looks = 0;
  return Object.defineProperty(new AbortController().signal, 'aborted', { get: () => looks++ >= moves });
}

const live = () => listTree(join(root, 'live'));

const stops = [0, 1, 2, 3, 4].flatMap((moves) => [tmpdir(), '/dev/shm'].map((place) => [moves, place] as const));

describe('a swap', () => {
  it.each(stops)(
    'that stopped after %i of 5 moves is taken back or gone on with, snapshot in %s',
    async (moves, place) => {
      await rm(snapshots, { recursive: true });
      snapshots = await mkdtemp(join(place, 'selfheal-swap-'));
      const before = await live();
      await prepareSwap(await staged(), snapshots);
      const swap = (await readSwap(snapshots)) as Swap;
      await expect(performSwap(swap, stoppingAfter(moves))).rejects.toThrow(/stopped between two moves/);
      expect(await isSwapped(swap)).toBe(false);
      await revertSwap(swap, snapshots);
      expect(listingDifferences(before, await live())).toEqual([]);
      expect(await readSwap(snapshots)).toBeNull();

      await prepareSwap(await staged(), snapshots);
      const second = (await readSwap(snapshots)) as Swap;
      await expect(performSwap(second, stoppingAfter(moves))).rejects.toThrow();
      await performSwap(second);
      expect(await isSwapped(second)).toBe(true);
      expect([...(await live()).keys()]).toEqual(
        expect.arrayContaining(['extra.py', 'other.py', 'pkg/__init__.py', 'pkg-2.dist-info/METADATA']),
      );
      expect([...(await live()).keys()]).not.toContain('pkg/data');
      await revertSwap(second, snapshots);
      await revertSwap(second, snapshots);
      expect(listingDifferences(before, await live())).toEqual([]);
    },
  );

  it('is not there before it was prepared', async () => {
    expect(await readSwap(snapshots)).toBeNull();
  });

  it('never overwrites what appeared in between', async () => {
    await prepareSwap(await staged(), snapshots);
    const swap = (await readSwap(snapshots)) as Swap;
    await write('live/extra.py', 'theirs');
    await expect(performSwap(swap)).rejects.toThrow(/appeared while/);
    await revertSwap(swap, snapshots);
    const after = await live();
    expect(after.get('extra.py')).toMatch(/^file/);
    expect([...after.keys()]).toContain('pkg-1.dist-info/METADATA');
  });
});
