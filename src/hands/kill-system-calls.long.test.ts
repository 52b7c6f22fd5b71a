// Every fix whose effects are files, in the worlds of its own drills: *hands*, or a program that it runs, is killed in the
// middle of its effects, at system calls. `FIX=a,b` chooses fixes; `CALLS=60` dies at more places of each drill than 24;
// `DRILLS=all` takes every drill that proposes steps instead of the first of each fix, `PATHS=act` or `undo` one way only.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixes } from '../fixes/index.ts';
import { compile, type Compiled } from '../testing/compiled.ts';
import {
  brokenKills,
  drillKillTable,
  type DrillKill,
  isOfFiles,
  killDrill,
  proposingDrills,
} from '../testing/kill-drills.ts';
import { canRehearse } from '../testing/rehearse.ts';
import { canTrace } from '../testing/system-calls.ts';

const { FIX, DRILLS, CALLS = '24', PATHS = 'act,undo' } = process.env;
const paths = (['act', 'undo'] as const).filter((path) => PATHS.split(',').includes(path));
const all: DrillKill[] = [];
let compiled: Compiled;
beforeAll(async () => void (compiled = await compile(['hands/main.ts'])));
afterAll(async () => {
  console.log(`${drillKillTable(all)}\nkills in all: ${all.filter((row) => row.point !== null).length}`);
  await compiled.remove();
});

/** The first drill of each fix, unless all are wanted: another one of the same steps dies at the same calls. */
const chosen = fixes
  .filter((fix) => FIX === undefined || FIX.split(',').includes(fix.name))
  .flatMap((fix) =>
    proposingDrills(fix)
      .filter(canRehearse)
      .filter(isOfFiles)
      .slice(0, DRILLS === 'all' ? undefined : 1)
      .map((drill) => [`${fix.name}, given that ${drill.given}`, fix, drill] as const),
  );

describe.skipIf(!canTrace()).each(chosen)('%s', (_name, fix, drill) => {
  it.each(paths)(
    'is as before or as planned after a death in the middle of an effect of %s',
    async (path) => {
      const program = compiled.path('hands/main.ts');
      const rows = await killDrill({ fix, drill, program, path, systemCalls: Number(CALLS) });
      all.push(...rows);
      console.log(drillKillTable(rows));
      for (const row of brokenKills(rows)) console.log(JSON.stringify(row));
      expect(rows.length).toBeGreaterThan(1);
      expect(brokenKills(rows)).toEqual([]);
    },
    1_800_000,
  );
});
