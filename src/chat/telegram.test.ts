import { afterEach, describe, expect, it } from 'vitest';
import { OWNER, OwnerRig, type RigOptions } from '../testing/owner-rig.ts';
import type { FakeMessage } from '../testing/telegram.ts';

let rig: OwnerRig;
afterEach(() => rig?.close());

async function begin(options: RigOptions = {}): Promise<OwnerRig> {
  rig = await OwnerRig.start(options);
  return rig;
}

/** Says something and resolves with the bot's next message. */
async function ask(text: string, options: Parameters<OwnerRig['api']['say']>[1] = {}): Promise<FakeMessage> {
  const before = rig.api.sent().length;
  rig.api.say(text, options);
  await rig.api.until(() => rig.api.sent().length > before);
  return rig.api.sent()[before] as FakeMessage;
}

async function card(): Promise<FakeMessage> {
  const asking = () => rig.api.sent().find((m) => m.buttons.flat().some((b) => b.text === 'Approve'));
  await rig.api.until(() => asking() !== undefined);
  return asking() as FakeMessage;
}

describe('a decision by button', () => {
  it('approves the exact plan, answers the tap, and the card says who decided and how it ended', async () => {
    await begin();
    const { id } = await rig.breaks();
    const asked = await card();
    const press = rig.api.press(asked, 'Approve');
    await rig.api.until(() => press.answers.length > 0);
    expect(press.answers).toEqual(['✅ approved: install wordtrim 1.2.0 into .venv']);
    await rig.reaches(id, 'resolved');
    await rig.delivered();
    expect(asked.text).toContain('Approved by telegram:1001');
    expect(asked.text).toContain('Fixed at');
    expect(asked.buttons.flat().map((b) => b.text)).toEqual(['Details']);
    expect(rig.texts().some((text) => text.startsWith('✅ #1 agent · import_error: fixed'))).toBe(true);
    expect(rig.api.sent().length).toBeLessThanOrEqual(3);
  });
});

describe('questions', () => {
  it('are answered with what the specification shows', async () => {
    await begin();
    await rig.breaks();
    await card();
    const answer = await ask('Health Check');
    expect(answer.text).toContain('🩺 Health Check Results');
    expect(answer.chat).toBe(OWNER);
  });
});
