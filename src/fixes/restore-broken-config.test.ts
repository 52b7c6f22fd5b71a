import { expect, it } from 'vitest';
import type { WriteFileStep } from '../core/plan.ts';
import { canRehearse, openDrill } from '../testing/rehearse.ts';
import fix from './restore-broken-config.ts';

/** The step that the fix proposes for one of its drills. */
async function stepOf(given: string, use: (step: WriteFileStep) => void): Promise<void> {
  const drill = fix.drills.filter(canRehearse).find((one) => one.given === given);
  if (!drill) throw new Error(`no drill: ${given}`);
  const open = await openDrill(drill);
  try {
    const diagnosis = await open.diagnose(fix);
    const [step] = diagnosis.kind === 'proposal' ? diagnosis.proposal.steps : [];
    if (step?.kind !== 'write-file') throw new Error('no write-file step');
    use(step);
  } finally {
    await open.close();
  }
}

it('keeps no copy of an environment file where git would take it', async () => {
  await stepOf('a value of an environment file was never filled in', (step) => {
    expect(step.keepAs).toBeUndefined();
    expect(step.title).toContain("kept in selfheal's state folder");
    expect(step.undo).toEqual({ kind: 'restore-snapshot' });
  });
});

it('keeps a copy of any other configuration beside it', async () => {
  await stepOf('a JSON file was cut off', (step) => expect(step.keepAs).toBe('config.json.selfheal-broken-{plan}'));
});
