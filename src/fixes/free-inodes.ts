// The disk has bytes but no file entries left, which programs report with the same words as a full disk. Small
// disposable files go, oldest first.

import type { DrillKit } from '../testing/drill-kit.ts';
import { type Diagnosis, defineFix, notApplicable, propose, refuse, type FixContext } from './contract.ts';
import { choose, diedOfIt, disposablesOn, removal, writableCheck } from './shared/disposable.ts';
import { fullPlace } from './shared/room.ts';
import { smallDisk } from './shared/small-disk.ts';

/** Entries to win: one in ten, but no more than ten thousand at a time. */
const TARGET_SHARE = 0.1;
const TARGET_ENTRIES = 10_000;

export default defineFix({
  name: 'free-inodes',
  family: 'free-disk',
  title: 'Make room for new files on a disk without file entries',
  handles: ['disk_full'],
  risk: 'risky',
  scope: 'service',
  autonomy: 'approve',
  order: 21,
  diagnose,
  drills: [
    {
      given: 'a cache of small files that is declared disposable has used up all entries',
      needs: 'root',
      world: async (kit) => {
        await withoutEntries(kit);
        kit.service({ disposable: ['data/cache/*'] });
      },
      facts: {},
      type: 'disk_full',
      expect: ['remove-files'],
    },
    {
      given: 'the entries are used up by files that nobody has declared disposable',
      needs: 'root',
      world: async (kit) => {
        await withoutEntries(kit);
        kit.service({ disposable: ['data/other/*'] });
      },
      facts: { path: '{directory}/data/cache/new' },
      type: 'disk_full',
      expect: 'refused',
    },
    {
      given: 'there are entries enough',
      world: (kit) => kit.write('data/a', ''),
      facts: { path: '{directory}/data/a' },
      type: 'disk_full',
      expect: 'not-applicable',
    },
  ],
});

async function withoutEntries(kit: DrillKit): Promise<void> {
  await smallDisk(kit, 'data', 'size=4m,nr_inodes=60');
  const make =
    'import os; os.mkdir("data/cache")\nfor i in range(99):\n  try: open(f"data/cache/{i}", "w").close(); os.utime(f"data/cache/{i}", (i, i))\n  except OSError: break\n';
  await kit.write('make.py', make);
  await kit.sh(['python3', 'make.py']);
}

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const place = await fullPlace(probe, service, incident.facts.path);
  if (place?.of !== 'entries') return notApplicable('no file system of the service has run out of file entries');
  const { freeInodes, totalInodes, freeBytes } = place.room;
  const wanted = Math.min(Math.ceil(totalInodes * TARGET_SHARE), TARGET_ENTRIES);
  const chosen = await choose(
    probe,
    await disposablesOn(probe, service, place),
    (files) => freeInodes + files.length >= wanted,
  );
  if (chosen.length === 0)
    return refuse(
      `${place.directory} has no file entries left, and nothing on it that is declared \`disposable\` can go. Look with \`du --inodes -x -d2\`.`,
    );
  return propose({
    title: `remove ${chosen.length} small files that you have declared disposable`,
    why: `${place.directory} has ${freeInodes} of ${totalInodes} file entries left. Oldest first, from ${chosen[0]?.path ?? ''}; nobody has them open.`,
    facts: { path: place.directory },
    steps: [removal(chosen)],
    checks: [writableCheck(place.directory, Math.min(freeBytes, 1))],
    resources: ['host:disk', `path:${place.directory}`],
    needsRestart: await diedOfIt(probe, service),
  });
}
