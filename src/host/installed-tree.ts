// What an environment holds, as lines that can be compared later: proof that an undo left nothing
// behind. Contents are hashed up to a budget; beyond it size and time of change must do.

import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { lstat, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Path below the root → what is there. */
export type Listing = ReadonlyMap<string, string>;

/** Contents up to this many bytes are hashed: half a second on an ordinary disk. */
const HASHED_BYTES = 256 * 1024 * 1024;

export interface ListOptions {
  /** Entries to leave out, by their path below the root. */
  readonly skip?: (path: string) => boolean;
  /** Bytes of content that are hashed. Default 256 MiB. */
  readonly hashedBytes?: number;
}

/** Everything below `root`. Caches of compiled modules come and go by themselves: never listed. */
export async function listTree(root: string, options: ListOptions = {}): Promise<Listing> {
  const listing = new Map<string, string>();
  let budget = options.hashedBytes ?? HASHED_BYTES;
  const waiting = [''];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const name of (await readdir(join(root, path))).sort()) {
      const entry = path === '' ? name : `${path}/${name}`;
      if (name === '__pycache__' || options.skip?.(entry)) continue;
      const stats = await lstat(join(root, entry)).catch(() => null);
      if (stats === null) continue;
      const hash = stats.isFile() && stats.size <= budget && budget > 0;
      if (hash) budget -= stats.size;
      listing.set(entry, await describe(join(root, entry), stats, hash));
      if (stats.isDirectory()) waiting.push(entry);
    }
  }
  return listing;
}

async function describe(path: string, stats: Stats, hash: boolean): Promise<string> {
  const owner = `${(stats.mode & 0o7777).toString(8)} ${stats.uid}:${stats.gid}`;
  if (stats.isDirectory()) return `folder ${owner}`;
  if (stats.isSymbolicLink()) return `link ${await readlink(path).catch(() => '?')}`;
  if (!stats.isFile()) return `other ${owner}`;
  return `file ${owner} ${stats.size} ${hash ? await sha256(path) : `at ${Math.round(stats.mtimeMs)}`}`;
}

async function sha256(path: string): Promise<string> {
  const digest = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) digest.update(chunk as Buffer);
  } catch {
    return 'unreadable';
  }
  return digest.digest('hex');
}

/** Writes a listing where `loadListing` finds it. */
export async function saveListing(file: string, listing: Listing): Promise<void> {
  await writeFile(file, JSON.stringify([...listing]), { mode: 0o600 });
}

export async function loadListing(file: string): Promise<Listing> {
  return new Map(JSON.parse(await readFile(file, 'utf8')) as [string, string][]);
}

/** What differs, as sentences; empty means equal. */
export function listingDifferences(before: Listing, after: Listing): readonly string[] {
  const differences: string[] = [];
  for (const path of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(path), after.get(path)];
    if (was === is) continue;
    differences.push(was === undefined ? `${path} is new` : is === undefined ? `${path} is gone` : `${path} changed`);
  }
  return differences.sort();
}
