// A model switch that does not help costs the agent nothing: it is asked before anything is started.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { compile, type Compiled } from '../testing/compiled.ts';
import { killDrill } from '../testing/kill-drills.ts';
import type { DrillKit } from '../testing/drill-kit.ts';
import fix from './switch-model.ts';

let compiled: Compiled;
beforeAll(async () => void (compiled = await compile(['hands/main.ts'])));
afterAll(() => compiled.remove());

/** The drill's world, in which the other model is dead as well. */
const bothDead = (world: (kit: DrillKit) => Promise<void>) => async (kit: DrillKit) => {
  await world(kit);
  await kit.write('model.py', 'import sys\nsys.exit("429 rate limit reached")\n');
};

it('leaves the agent in the process that it has when the other model does not answer either', async () => {
  const [drill] = fix.drills;
  if (!drill) throw new Error('the fix has no drill');
  const dead = { ...drill, world: bothDead(drill.world) };
  const program = compiled.path('hands/main.ts');
  const [row] = await killDrill({ fix, drill: dead, program, path: 'act', points: () => [] });
  expect(row).toMatchObject({ outcome: 'rolled-back', state: 'before' });
});
