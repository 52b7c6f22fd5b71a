import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../host/clock.ts';
import type { Probe } from '../../host/contract.ts';
import { createProcessProbe } from '../../host/processes.ts';
import { createScratch, python, type Scratch } from '../../testing/scratch.ts';
import { choose, type Disposable } from './disposable.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = createScratch();
});
afterEach(() => scratch.close());

describe('disposable files', () => {
  it('that somebody has open are never chosen, however many there are', async () => {
    const files: readonly Disposable[] = Array.from({ length: 600 }, (_, i) => ({
      path: scratch.write(`cache/${i}`, 'x'),
      bytes: 1,
      inode: i,
      modifiedAt: i,
    }));
    const held = [3, 41, 550].map((i) => scratch.path('cache', String(i)));
    const code = `import time\nfiles = [open(p) for p in ${JSON.stringify(held)}]\nprint("up", flush=True); time.sleep(60)`;
    await scratch.start([python, '-c', code], { ready: 'up' });
    const probe = { processes: createProcessProbe({ clock: systemClock }) } as Probe; // all that choosing looks at
    const chosen = await choose(probe, files, () => false);
    expect(chosen).toEqual(files.filter(({ path }) => !held.includes(path)));
    expect(await choose(probe, files, (so) => so.length >= 5)).toHaveLength(5);
  });
});
