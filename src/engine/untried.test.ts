// Where nobody but its caller can repeat the failed call, nothing is called fixed: the change stays, and the owner hears
// that it is not proven.

import { afterEach, describe, expect, it } from 'vitest';
import { untried } from '../fixes/shared/health-check.ts';
import { HealRig, type HealRigOptions } from '../testing/heal-rig.ts';

let rig: HealRig;

afterEach(() => rig.close());

async function opened(options: HealRigOptions = {}): Promise<HealRig> {
  rig = await HealRig.open({ fixes: (r) => [r.mend({ also: untried('the call that failed') })], ...options });
  rig.breakFile();
  return rig;
}

describe('a repair whose failed call cannot be tried again', () => {
  it('ends as inconclusive, with the change kept and the reason said', async () => {
    await opened();
    const ended = await rig.toTheEnd(await rig.incident());
    expect(ended.state.name).toBe('needs-human');
    expect(ended.outcome).toMatchObject({ kind: 'inconclusive' });
    expect(ended.reason).toMatch(/done and kept.*no proof.*could not be tried again.*health/);
    expect(rig.isMended()).toBe(true);
    expect(rig.calls).toEqual(['act 1-1', 'verify 1-1']);
  });

  it('is taken back all the same when the error returns within the settle time', async () => {
    await opened({ config: { maxAutoFixAttempts: 1 } });
    const id = await rig.incident();
    const verifying = await rig.step(id);
    expect(verifying?.state.name).toBe('verifying');
    if (!verifying) return;
    rig.clock.advance(1_500);
    await rig.store.saveIncident({ ...verifying, lastSeen: rig.clock.now(), revision: verifying.revision + 1 });
    const ended = await rig.toTheEnd(id);
    expect(ended.outcome?.kind).toBe('rolled-back');
    expect(rig.isMended()).toBe(false);
  });

  it('is taken back when something else fails, as ever', async () => {
    await opened({ fixes: (r) => [r.mend({ also: untried('the call'), helps: false })] });
    const ended = await rig.toTheEnd(await rig.incident());
    expect(ended.outcome?.kind).toBe('rolled-back');
    expect(rig.isMended()).toBe(false);
  });
});
