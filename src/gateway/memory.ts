// What the gateway remembers over a restart, in one small file: open breakers and the series of quotas. No keys, no
// prompts. A file that cannot be read is as good as none.

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { Remembered } from './upstreams.ts';

const FILE = 'memory.json';
const SAVE_AFTER_MS = 200;
const FILE_CAP = 4 * 1024 * 1024;

const kind = z.enum([
  'limited',
  'overloaded',
  'exhausted',
  'too-long',
  'invalid',
  'unsupported',
  'auth',
  'transport',
  'timeout',
  'server',
]);
const number = z.number().nullable();
const schema = z.object({
  version: z.literal(1),
  breakers: z.array(
    z.object({
      scope: z.string(),
      kind,
      message: z.string(),
      since: z.number(),
      until: z.number(),
      stated: z.boolean(),
      times: z.number(),
    }),
  ),
  quotas: z.array(
    z.object({
      upstream: z.string(),
      at: z.number(),
      dimension: z.string(),
      limit: number,
      remaining: number,
      utilisation: number,
      resetAt: number,
    }),
  ),
});

export class Memory {
  readonly #directory: string;
  readonly #get: () => Remembered;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  /** `get` gives what is to be kept at the moment of writing. */
  constructor(directory: string, get: () => Remembered) {
    this.#directory = directory;
    this.#get = get;
  }

  async load(): Promise<Remembered | null> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const text = await readFile(join(this.#directory, FILE), 'utf8').catch(() => '');
    if (text === '' || text.length > FILE_CAP) return null;
    try {
      return schema.parse(JSON.parse(text));
    } catch {
      return null;
    }
  }

  /** Soon after; several changes become one write. */
  changed(): void {
    this.#timer ??= setTimeout(() => void this.save(), SAVE_AFTER_MS);
  }

  /** Writes beside and renames: a crash leaves the old file or the new one. A full disk costs only the memory. */
  save(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#writing = this.#writing
      .then(async () => {
        const fresh = join(this.#directory, `${FILE}.new`);
        await writeFile(fresh, JSON.stringify(this.#get()), { mode: 0o600 });
        await rename(fresh, join(this.#directory, FILE));
      })
      .catch(() => {});
    return this.#writing;
  }
}
