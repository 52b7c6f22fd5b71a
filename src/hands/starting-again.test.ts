// A service that a plan had started runs what its files say again, once the plan is taken back.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { compile, type Compiled } from '../testing/compiled.ts';
import { broken, killAtEach, killTable } from '../testing/kill-points.ts';
import { switchedService } from '../testing/kill-scenes.ts';

let compiled: Compiled;
beforeAll(async () => void (compiled = await compile(['hands/main.ts'])));
afterAll(() => compiled.remove());

it('starts the service on the files that were put back, wherever the way back is killed', async () => {
  const points = ['checked-after.after', 'undone.0.after', 'undo-intent.1.after', 'undo.1.after', 'finished.after'];
  const rows = await killAtEach({
    scene: switchedService,
    program: compiled.path('hands/main.ts'),
    path: 'undo',
    points,
  });
  console.log(killTable(rows));
  expect(rows).toHaveLength(points.length);
  expect(broken(rows)).toEqual([]);
});
