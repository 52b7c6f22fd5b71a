// The whole matrix: every scene, every boundary, both ways, and the recovery killed as well.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, type Compiled } from '../testing/compiled.ts';
import { broken, killAtEach, killAtSystemCalls, killTable } from '../testing/kill-points.ts';
import { ownersCommand, quarantinedFile, restoredFile, stuckMerge } from '../testing/kill-scenes.ts';
import { canTrace } from '../testing/system-calls.ts';

let compiled: Compiled;
beforeAll(async () => void (compiled = await compile(['hands/main.ts'])));
afterAll(() => compiled.remove());

const scenes = [restoredFile, quarantinedFile, ownersCommand, stuckMerge];

describe.each(scenes)('$name', (scene) => {
  it.each(['act', 'undo'] as const)(
    'is as before or as planned after a kill at every boundary of %s',
    async (path) => {
      const rows = await killAtEach({ scene, program: compiled.path('hands/main.ts'), path });
      console.log(killTable(rows));
      expect(broken(rows)).toEqual([]);
    },
    600_000,
  );

  it.skipIf(!canTrace()).each(['act', 'undo'] as const)(
    'is as before or as planned after a kill at every system call of %s that changes files',
    async (path) => {
      const rows = await killAtSystemCalls({ scene, program: compiled.path('hands/main.ts'), path });
      console.log(killTable(rows));
      expect(rows.length).toBeGreaterThan(5);
      expect(broken(rows)).toEqual([]);
    },
    1_200_000,
  );

  it('survives the death of the recovery as well', async () => {
    const program = compiled.path('hands/main.ts');
    const rows = [];
    for (const second of ['claimed.after', 'locked.after', 'undo-intent.0.after', 'undo.0.after', 'finished.before']) {
      const points = ['apply.0.before', 'apply.0.after', 'done.0.after'];
      rows.push(...(await killAtEach({ scene, program, path: 'undo', points, second })));
    }
    console.log(killTable(rows));
    expect(broken(rows)).toEqual([]);
  }, 600_000);
});
