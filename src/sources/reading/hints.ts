// Events of the kernel about directories. They are hints only: they may be late, lost, or never come
// (network shares, exhausted watches), so whoever listens also looks for himself from time to time.

import { type FSWatcher, statfsSync, watch } from 'node:fs';
import { type BytePath, onDisk } from './byte-path.ts';

export interface HintsOptions {
  /** Something happened to this name in this directory. `rename`: it came, went, or was exchanged. */
  readonly onHint: (directory: BytePath, name: BytePath, what: 'change' | 'rename') => void;
  /** Events are not available; called once. */
  readonly onDeaf: (reason: string) => void;
}

/** File systems all of whose changes pass through this kernel (statfs(2)): ext, xfs, btrfs, tmpfs, f2fs, zfs. */
const LOCAL = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0xf2f52010, 0x2fc12fc1]);

export class Hints {
  readonly #options: HintsOptions;
  readonly #watchers = new Map<BytePath, FSWatcher>();
  readonly #local = new Set<BytePath>();
  #deaf = false;

  constructor(options: HintsOptions) {
    this.#options = options;
  }

  /** Listens to exactly these directories. */
  follow(directories: ReadonlySet<BytePath>): void {
    for (const directory of this.#watchers.keys()) if (!directories.has(directory)) this.#unwatch(directory);
    for (const directory of directories) if (!this.#watchers.has(directory)) this.#watch(directory);
  }

  /** True when events of this directory are listened to, and nobody can write to it behind the kernel's back. */
  hearsAll(directory: BytePath): boolean {
    return this.#local.has(directory) && this.#watchers.has(directory);
  }

  /** Listens anew: the directory under this name may be another one. */
  renew(directory: BytePath): void {
    this.#unwatch(directory);
    this.#watch(directory);
  }

  close(): void {
    for (const directory of [...this.#watchers.keys()]) this.#unwatch(directory);
  }

  #watch(directory: BytePath): void {
    try {
      const watcher = watch(onDisk(directory), { encoding: 'buffer' }, (what, name) => {
        if (name) this.#options.onHint(directory, name.toString('latin1'), what);
      });
      watcher.on('error', () => this.#unwatch(directory));
      this.#watchers.set(directory, watcher);
      if (LOCAL.has(statfsSync(onDisk(directory)).type)) this.#local.add(directory);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      if (this.#deaf || (code !== 'ENOSPC' && code !== 'EMFILE')) return;
      this.#deaf = true;
      this.#options.onDeaf(`no file events (${code}), looking at the files instead`);
    }
  }

  #unwatch(directory: BytePath): void {
    this.#watchers.get(directory)?.close();
    this.#watchers.delete(directory);
    this.#local.delete(directory);
  }
}
