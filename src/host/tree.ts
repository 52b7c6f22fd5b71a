// What a folder holds, as one line per entry: two equal lists mean byte-equal trees, modes and owners included.

import { readdir } from 'node:fs/promises';
import { lookAt, readEntry } from './safe-files.ts';

export interface TreeOptions {
  /** Entries to leave out, by their path below the root (bytes as latin1, `/` between names). */
  readonly skip?: (path: string) => boolean;
  /** Entries looked at before giving up. Default 100,000. */
  readonly maxEntries?: number;
}

/**
 * Describes everything below `root`, links not followed: path → `kind mode uid:gid hash`. Paths are bytes as latin1,
 * because a file name need not be UTF-8. Null when there are more than `maxEntries`.
 */
export async function describeTree(
  root: string,
  options: TreeOptions = {},
): Promise<ReadonlyMap<string, string> | null> {
  const { skip = () => false, maxEntries = 100_000 } = options;
  const found = new Map<string, string>();
  const waiting = [''];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const name of await readdir(bytesBelow(root, path), { encoding: 'latin1' as BufferEncoding })) {
      const entry = path === '' ? name : `${path}/${name}`;
      if (skip(entry)) continue;
      const text = await describe(bytesBelow(root, entry));
      if (text === null) continue;
      found.set(entry, text);
      if (text.startsWith('folder')) waiting.push(entry);
      if (found.size > maxEntries) return null;
    }
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Paths that differ between two descriptions. */
export function treeDifferences(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): readonly string[] {
  return [...new Set([...a.keys(), ...b.keys()])].filter((path) => a.get(path) !== b.get(path)).sort();
}

function bytesBelow(root: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);
}

async function describe(path: Buffer): Promise<string | null> {
  const stats = await lookAt(path);
  if (!stats) return null;
  const owner = `${(stats.mode & 0o7777).toString(8)} ${stats.uid}:${stats.gid}`;
  if (stats.isDirectory()) return `folder ${owner}`;
  const found = await readEntry(path, { maxLinks: Number.MAX_SAFE_INTEGER });
  if (found.kind === 'file') return `file ${owner} ${found.sha256}`;
  if (found.kind === 'link') return `link ${found.target.toString('latin1')}`;
  return found.kind === 'absent' ? null : `other ${owner}`;
}
