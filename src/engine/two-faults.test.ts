// Two faults of one service at once: the second hides the proof of the first. What is told must be true, and a good repair
// must not be taken back for it.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Check, Step } from '../core/plan.ts';
import type { OperationsDeps } from '../asking/deps.ts';
import { Questions } from '../asking/questions.ts';
import { defineFix, propose, type Fix } from '../fixes/contract.ts';
import { HealRig } from '../testing/heal-rig.ts';

/** It needs both files, and says of the first that is broken what is wrong with it. */
const PROGRAM = `#!/bin/sh
cd "$(dirname "$0")" || exit 2
grep -q '^KEY=' app.env || { echo "ConfigError: app.env has no KEY" >&2; exit 1; }
grep -q '^whole' parts.txt || { echo "PartsError: parts.txt is not whole" >&2; exit 1; }
`;
const WHOLE = 'whole\n';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const healthy: Check = {
  kind: 'health',
  title: 'agent is healthy',
  proves: 'operation',
  failsBefore: true,
  service: 'agent',
};

/** Mends the other file. */
const mendParts: Fix = defineFix({
  name: 'mend-parts',
  family: 'restore-config',
  title: 'Write parts.txt anew',
  handles: ['database_error'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'auto',
  order: 10,
  drills: [],
  diagnose: async ({ service }) => {
    const path = join(service.directory, 'parts.txt');
    const step: Step = {
      kind: 'write-file',
      title: 'write parts.txt anew',
      path,
      content: { text: WHOLE },
      before: sha256(readFileSync(path, 'utf8')),
      mode: 0o600,
      undo: { kind: 'restore-snapshot' },
    };
    const [title, why] = ['write parts.txt anew', 'it is broken'];
    return propose({ title, why, facts: {}, steps: [step], checks: [healthy], resources: [], needsRestart: false });
  },
});

let rig: HealRig;
const parts = (text?: string): string => {
  const path = join(rig.folder(), 'parts.txt');
  if (text !== undefined) writeFileSync(path, text, { mode: 0o600 });
  return readFileSync(path, 'utf8');
};

beforeEach(async () => {
  rig = await HealRig.open({
    services: { agent: { health: { kind: 'command', argv: ['./agent'] } } },
    fixes: (one) => [one.mend({ handles: ['config_error'], also: healthy }), mendParts],
  });
  writeFileSync(join(rig.folder(), 'agent'), PROGRAM, { mode: 0o755 });
  parts('torn\n');
});
afterEach(() => rig.close());

/** The service speaks of its other problem as soon as the first one is out of the way. */
function thenSays(type: 'database_error' | 'git_error'): { readonly id: () => string } {
  let id = '';
  rig.reach = async (point) => {
    if (point !== 'done.0.after' || id !== '') return;
    id = await rig.incident({ type, message: 'PartsError: parts.txt is not whole' });
  };
  return { id: () => id };
}

describe('when a second problem of the service shows up behind the first', () => {
  it('keeps the repair, heals the second, and proves both', async () => {
    const second = thenSays('database_error');
    const first = await rig.incident();
    const waiting = await rig.step(first);
    expect(waiting?.state).toMatchObject({ name: 'verifying', beside: second.id() });
    expect(waiting?.reason).toMatch(/agent is kept down by problem 2, which is healed first/);
    expect(rig.isMended()).toBe(true);

    // However long the other one takes: nothing is claimed meanwhile.
    rig.clock.advance(120_000);
    expect((await rig.step(first))?.state.name).toBe('verifying');
    expect((await rig.toTheEnd(second.id())).state).toMatchObject({ name: 'resolved', by: 'fix' });
    const proven = await rig.step(first);
    expect(proven?.state).toMatchObject({ name: 'resolved', by: 'fix' });
    expect(proven?.outcome?.evidence.map(({ check, passed }) => [check, passed])).toEqual([
      ['app.env has its key', true],
      ['agent is healthy', true],
    ]);
    expect([rig.isMended(), parts()]).toEqual([true, WHOLE]);
    expect(rig.calls.filter((call) => call.startsWith('undo'))).toEqual([]);
  });

  it('keeps the repair without calling it proven when nobody can heal the second', async () => {
    const second = thenSays('git_error');
    const first = await rig.incident();
    await rig.step(first);
    expect((await rig.toTheEnd(second.id())).state.name).toBe('needs-human');
    const end = await rig.toTheEnd(first);
    expect(end).toMatchObject({ state: { name: 'needs-human' }, outcome: { kind: 'inconclusive' }, attempts: 1 });
    expect(end.reason).toMatch(/done and kept: what had failed works again, but problem 2 is in the way/);
    expect(rig.isMended()).toBe(true);
  });

  it('can be taken back by a person while it waits for the second', async () => {
    thenSays('database_error');
    const first = await rig.incident();
    await rig.step(first);
    const outcome = await rig.fixer.rollBack(first, 'me', new AbortController().signal);
    expect(outcome?.kind).toBe('rolled-back');
    expect(rig.isMended()).toBe(false);
  });
});

describe('when nothing but the health probe of the service tells of a second problem', () => {
  it('keeps the repair, and is over once the second is healed', async () => {
    const first = await rig.incident();
    const kept = await rig.toTheEnd(first);
    expect(kept).toMatchObject({ state: { name: 'needs-human' }, outcome: { kind: 'inconclusive' } });
    expect(kept.reason).toMatch(/something else is in the way .*PartsError: parts.txt is not whole/);
    expect(rig.isMended()).toBe(true);

    const second = await rig.incident({ type: 'database_error' });
    expect((await rig.toTheEnd(second)).outcome?.kind).toBe('fixed');
    expect(await rig.store.incident(first)).toMatchObject({
      state: { name: 'resolved', by: 'cause' },
      causedBy: second,
      reason: `its own repair was kept, and agent is well since problem ${second} was healed`,
    });
  });

  it('does not count as over what was seen once more after it was kept', async () => {
    const first = await rig.incident();
    await rig.toTheEnd(first);
    rig.clock.advance(5_000);
    const kept = await rig.store.incident(first);
    if (kept) await rig.store.saveIncident({ ...kept, lastSeen: rig.clock.now(), revision: kept.revision + 1 });
    await rig.toTheEnd(await rig.incident({ type: 'database_error' }));
    expect((await rig.store.incident(first))?.state.name).toBe('needs-human');
  });
});

describe('a repair that is being watched', () => {
  it('says what is under way instead of planning anew', async () => {
    parts(WHOLE);
    const first = await rig.incident();
    await rig.step(first);
    const questions = new Questions({ store: rig.store, config: rig.config } as unknown as OperationsDeps);
    expect(await questions.plan(first)).toMatchObject({
      plan: null,
      considered: [],
      reason: expect.stringMatching(
        /^plan 1-1 is under way \(done and checked; must stay quiet for \d+ s\); `selfheal incident 1` shows/,
      ),
    });
  });

  it('says why it is watched for longer than usual', async () => {
    parts(WHOLE);
    const at = rig.clock.now();
    const first = await rig.incident({ firstSeen: at - 40_000, lastSeen: at, count: 3 });
    expect((await rig.step(first))?.reason).toMatch(
      /must stay quiet for 30 s, not \d+ s as usual, since it came about every 20 s/,
    );
  });
});

describe('a repair is taken back', () => {
  it('when the service fails with the very same words as before', async () => {
    writeFileSync(join(rig.folder(), 'agent'), '#!/bin/sh\necho "PartsError: pid $$" >&2\nexit 1\n', { mode: 0o755 });
    const end = await rig.step(await rig.incident());
    expect(end?.outcome?.kind).toBe('rolled-back');
    expect(rig.isMended()).toBe(false);
  });

  it('when the service was well before', async () => {
    // Well, as long as nobody mends the file.
    const program =
      '#!/bin/sh\ncd "$(dirname "$0")"; ! grep -q "^KEY=" app.env || { echo "KeyError: KEY" >&2; exit 1; }\n';
    writeFileSync(join(rig.folder(), 'agent'), program, { mode: 0o755 });
    thenSays('database_error');
    const end = await rig.step(await rig.incident());
    expect(end?.outcome?.kind).toBe('rolled-back');
    expect(rig.isMended()).toBe(false);
  });
});
