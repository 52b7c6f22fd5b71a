// What a person approves is what runs: every script that npm would run is named, and the files that hold them are pinned.

import { expect, it } from 'vitest';
import { openDrill } from '../testing/rehearse.ts';
import fix from './rebuild-missing-build.ts';

it('names the scripts that npm runs before and after the build, and pins the files that say so', async () => {
  const drill = fix.drills.find(({ given }) => given.includes('before and after'));
  if (!drill) throw new Error('no such drill');
  const open = await openDrill(drill);
  try {
    const diagnosis = await open.diagnose(fix);
    if (diagnosis.kind !== 'proposal') throw new Error(diagnosis.reason);
    const { steps, mustAsk, why } = diagnosis.proposal;
    for (const text of [steps[0]?.title, mustAsk, why]) {
      expect(text).toContain('prebuild');
      expect(text).toContain('echo before');
      expect(text).toContain('echo after');
    }
    const { directory } = open.world.kit;
    const pinned = { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string };
    expect(steps[0]).toMatchObject({
      requires: ['package.json', 'package-lock.json'].map((name) => ({ ...pinned, path: `${directory}/${name}` })),
      makes: `${directory}/dist`,
    });
  } finally {
    await open.close();
  }
});
