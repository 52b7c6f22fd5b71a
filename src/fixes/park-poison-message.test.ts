// What the log counts is a claim: a person who is asked must be able to tell it from what was seen.

import { expect, it } from 'vitest';
import { openDrill } from '../testing/rehearse.ts';
import fix from './park-poison-message.ts';

it('says how many failures were seen, and apart from it how many the log claims', async () => {
  const [drill] = fix.drills;
  if (!drill) throw new Error('the fix has no drill');
  const open = await openDrill(drill);
  try {
    const diagnosis = await open.diagnose(fix, { message: 'attempt 999: queue/81.json failed' });
    if (diagnosis.kind !== 'proposal') throw new Error(diagnosis.reason);
    expect(diagnosis.proposal.why).toContain('1 failure was seen (the log says 999, which was not counted here)');
  } finally {
    await open.close();
  }
});
