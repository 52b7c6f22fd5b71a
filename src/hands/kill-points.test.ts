// SIGKILL of the real *hands* at the boundaries of real plans; all scenes and double deaths are in the long suite.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { compile, type Compiled } from '../testing/compiled.ts';
import { broken, killAtEach, killTable } from '../testing/kill-points.ts';
import { quarantinedFile, restoredFile } from '../testing/kill-scenes.ts';

let compiled: Compiled;
beforeAll(async () => void (compiled = await compile(['hands/main.ts'])));
afterAll(() => compiled.remove());

it('leaves a restored file as before or as planned, wherever it is killed on the way', async () => {
  const points = ['claimed', 'intent.0', 'apply.0', 'done.0'].map((p) => `${p}.after`);
  const rows = await killAtEach({ scene: restoredFile, program: compiled.path('hands/main.ts'), path: 'act', points });
  console.log(killTable(rows));
  expect(broken(rows)).toEqual([]);
});

it('takes three steps back byte for byte, killed around effects and undos', async () => {
  const points = ['apply.0.after', 'apply.2.after', 'undone.1.before', 'undo.0.after'];
  const program = compiled.path('hands/main.ts');
  const rows = await killAtEach({ scene: quarantinedFile, program, path: 'undo', points });
  console.log(killTable(rows));
  expect(broken(rows)).toEqual([]);
});
