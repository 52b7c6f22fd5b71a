// Every fix of the catalogue, in the worlds of its own drills: *hands* is killed at every boundary of its plan, and is
// made to take everything back. `FIX=a,b` chooses fixes, `DRILLS=all` takes every drill that proposes steps instead
// of one for each list of steps, `KILLS=new` leaves out boundaries of `undo` that `act` has as well.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Drill, Fix } from '../fixes/contract.ts';
import { fixes } from '../fixes/index.ts';
import { compile, type Compiled } from '../testing/compiled.ts';
import { brokenKills, drillKillTable, type DrillKill, killDrill, proposingDrills } from '../testing/kill-drills.ts';
import { canRehearse } from '../testing/rehearse.ts';

let compiled: Compiled;
const all: DrillKill[] = [];
beforeAll(async () => void (compiled = await compile(['hands/main.ts'])));
afterAll(async () => {
  console.log(`${drillKillTable(all)}\nkills in all: ${all.filter((row) => row.point !== null).length}`);
  await compiled.remove();
});

const { FIX, DRILLS, KILLS } = process.env;
const chosen = fixes
  .filter((fix) => FIX === undefined || FIX.split(',').includes(fix.name))
  .map((fix) => ({ fix, drills: proposingDrills(fix).filter(canRehearse) }))
  .filter(({ drills }) => drills.length > 0);

/** One drill for each list of steps, unless all are wanted. */
function sample(drills: readonly Drill[]): readonly Drill[] {
  if (DRILLS === 'all') return drills;
  return drills.filter((drill, i) => drills.findIndex((d) => String(d.expect) === String(drill.expect)) === i);
}

/** What only the way back has: everything after the last step is done. */
function wayBack(points: readonly string[]): readonly string[] {
  return points.slice(points.indexOf('checked-after.after'));
}

async function killed(fix: Fix, drill: Drill): Promise<readonly DrillKill[]> {
  const program = compiled.path('hands/main.ts');
  const shorter = KILLS === 'new' ? { points: wayBack } : {};
  // Two at a time: each is a world of its own.
  const [act, undo] = await Promise.all([
    killDrill({ fix, drill, program, path: 'act' }),
    killDrill({ fix, drill, program, path: 'undo', ...shorter }),
  ]);
  return [...act, ...undo];
}

describe.each(chosen.map(({ fix, drills }) => [fix.name, fix, drills] as const))('%s', (_name, fix, drills) => {
  it.each(sample(drills).map((drill) => [drill.given, drill] as const))(
    'is as before or as planned after a kill at every boundary, given that %s',
    async (_given, drill) => {
      const rows = await killed(fix, drill);
      all.push(...rows);
      console.log(drillKillTable(rows));
      expect(brokenKills(rows)).toEqual([]);
    },
    1_800_000,
  );

  it.each(drills.map((drill) => [drill.given, drill] as const))(
    'takes back every byte when the check fails, given that %s',
    async (given, drill) => {
      const [row] = await killDrill({
        fix,
        drill,
        program: compiled.path('hands/main.ts'),
        path: 'undo',
        points: () => [],
      });
      console.log(`${fix.name}: ${row?.outcome}, ${row?.state} (${given})`);
      expect(brokenKills(row ? [row] : [])).toEqual([]);
    },
    600_000,
  );
});
