// How a running daemon learns within moments that another process wrote something for it, without a
// server: a file that every such process appends its pid to.

import { watch, type FSWatcher } from 'node:fs';
import { appendFile, open, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';

const FILE = 'doorbell';
/** The kernel's hint can be missing (no inotify watch left, network file system): looked at anyway this often. */
const POLL_MS = 1_000;
const SIZE_LIMIT = 64 * 1024;

/** Rings for the watchers of other processes. A bell that cannot be rung is no failure: the row is stored, and the daemon sweeps. */
export async function ring(directory: string): Promise<void> {
  const path = join(directory, FILE);
  try {
    if ((await sizeOf(path)) > SIZE_LIMIT) await truncate(path, 0);
    await appendFile(path, `${process.pid}\n`, { mode: 0o600 });
  } catch {
    // See above.
  }
}

/** Stops watching. */
export interface StoreWatch {
  close(): void;
}

/**
 * Calls `onRing` soon after another process decided, requested, or changed a value or an incident. Several
 * rings may come as one; the own process never rings for itself.
 *
 * @example const watch = await watchStore(config.state, () => healer.look());
 */
export async function watchStore(directory: string, onRing: () => void): Promise<StoreWatch> {
  const path = join(directory, FILE);
  await appendFile(path, '', { mode: 0o600 });
  const listener = new Listener(path, await sizeOf(path), onRing);
  const hint = hinted(path, () => void listener.look());
  const timer = setInterval(() => void listener.look(), POLL_MS);
  timer.unref();
  return {
    close: () => {
      listener.closed = true;
      clearInterval(timer);
      hint?.close();
    },
  };
}

function hinted(path: string, look: () => void): FSWatcher | null {
  try {
    const watcher = watch(path, { persistent: false }, look);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}

/** Reads what was appended since the last look and rings when another pid is in it. */
class Listener {
  closed = false;
  readonly #path: string;
  readonly #onRing: () => void;
  #read: number;
  #looking = false;
  #again = false;

  constructor(path: string, read: number, onRing: () => void) {
    this.#path = path;
    this.#read = read;
    this.#onRing = onRing;
  }

  async look(): Promise<void> {
    this.#again = true;
    if (this.#looking) return;
    this.#looking = true;
    try {
      while (this.#again && !this.closed) {
        this.#again = false;
        if (await this.#heard()) this.#onRing();
      }
    } finally {
      this.#looking = false;
    }
  }

  async #heard(): Promise<boolean> {
    const size = await sizeOf(this.#path);
    if (size === this.#read) return false;
    // Cut back to the start by somebody: what was in between is unknown, so it counts as a ring.
    const cut = size < this.#read;
    const text = await textFrom(this.#path, cut ? 0 : this.#read);
    this.#read = (cut ? 0 : this.#read) + text.length;
    const own = String(process.pid);
    return !this.closed && (cut || text.split('\n').some((pid) => pid !== '' && pid !== own));
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}

async function textFrom(path: string, from: number): Promise<string> {
  try {
    const handle = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(SIZE_LIMIT), 0, SIZE_LIMIT, from);
      return buffer.toString('latin1', 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch {
    return '';
  }
}
