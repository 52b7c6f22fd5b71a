import { afterEach, describe, expect, it, vi } from 'vitest';
import { OWNER, OwnerRig, service, type RigOptions } from '../testing/owner-rig.ts';
import type { FakeCall, FakeFault, FakeMessage } from '../testing/telegram.ts';
import { StoreError } from '../store/contract.ts';
import type { Asked } from './asked.ts';

const MINUTE = 60_000;
const HOUR = 3_600_000;
const STRANGER = 666;

let rig: OwnerRig;
afterEach(() => rig?.close());

async function begin(options: RigOptions = {}): Promise<OwnerRig> {
  rig = await OwnerRig.start(options);
  return rig;
}

const ask: OwnerRig['ask'] = (...said) => rig.ask(...said);
const press: OwnerRig['press'] = (...pressed) => rig.press(...pressed);

async function askingCard(): Promise<FakeMessage> {
  const asking = () => rig.api.sent().find((m) => m.buttons.flat().some((b) => b.text === 'Approve'));
  await rig.api.until(() => asking() !== undefined);
  await rig.delivered();
  return asking() as FakeMessage;
}

const dataOf = (message: FakeMessage, label: string) =>
  message.buttons.flat().find((b) => b.text === label)?.callback_data as string;
const labels = (message: FakeMessage) => message.buttons.flat().map((b) => b.text);

/** What a process leaves that was killed right after it took the press in. */
function interruptedPress(name: 'approve' | 'rollback', card: FakeMessage, at: number): Asked {
  const place = { chat: OWNER, key: 'pressed:1', to: card.messageId };
  const pressed = dataOf(card, 'Approve').slice(2);
  const about = { command: { name, id: '1' }, text: `${name} 1`, question: card.messageId };
  return { update: 900_020, user: OWNER, ...about, place, at, answer: null, pressed };
}

describe('a decision by button', () => {
  it('approves the exact plan, answers the tap, and the card says who decided and how it ended', async () => {
    await begin();
    const { id } = await rig.breaks();
    const asked = await askingCard();
    expect(await press(asked, 'Approve')).toBe('✅ Approved: install wordtrim 1.2.0 into .venv');
    await rig.reaches(id, 'resolved');
    await rig.delivered();
    expect(asked.text).toContain('Approved by user 1001');
    expect(asked.text).toContain('Fixed at');
    expect(labels(asked)).toEqual(['Details']);
    expect(rig.texts().some((text) => text.startsWith('✅ #1 agent · import_error: fixed'))).toBe(true);
    expect(rig.api.sent().length).toBeLessThanOrEqual(3);
    const decision = await rig.store.approval('1-1');
    expect(decision).toMatchObject({ verdict: 'approved', by: 'telegram:1001' });
  });

  it('denies, and leaves the machine alone', async () => {
    await begin();
    const { id } = await rig.breaks();
    const asked = await askingCard();
    expect(await press(asked, 'Deny')).toMatch(/denied/i);
    await rig.reaches(id, 'needs-human');
    await rig.delivered();
    expect(asked.text).toContain('Denied by user 1001');
    expect(labels(asked)).toEqual(['Details']);
    expect(await rig.store.ledger({})).toEqual([]);
  });

  it('counts a double tap once', async () => {
    await begin();
    const { id } = await rig.breaks();
    const asked = await askingCard();
    const both = [rig.api.press(asked, 'Approve'), rig.api.press(asked, 'Approve')];
    await rig.api.until(() => both.every((p) => p.answers.length > 0));
    expect(both[0]?.answers[0]).toContain('✅ Approved');
    expect(both[1]?.answers[0]).toContain('Already decided');
    await rig.reaches(id, 'resolved');
    expect(await rig.store.ledger({})).toHaveLength(1);
  });

  it('survives a restart between the card and the tap', async () => {
    await begin();
    const { id } = await rig.breaks();
    const asked = await askingCard();
    await rig.end();
    await rig.begin();
    expect(await press(asked, 'Approve')).toContain('✅ Approved');
    await rig.reaches(id, 'resolved');
  });

  it('is carried out once when the same update is delivered again after a crash', async () => {
    await begin();
    const { id } = await rig.breaks();
    const asked = await askingCard();
    const data = dataOf(asked, 'Approve');
    const update = {
      callback_query: {
        id: '77',
        from: { id: OWNER, is_bot: false, first_name: 'o' },
        message: { message_id: asked.messageId, date: 1, chat: { id: OWNER, type: 'private' } },
        chat_instance: '1',
        data,
      },
    };
    rig.api.push(update, 900_001);
    await rig.reaches(id, 'resolved');
    await rig.end();
    await rig.begin();
    rig.api.push(update, 900_001);
    await ask('help');
    expect(await rig.store.ledger({})).toHaveLength(1);
  });

  it('refuses a plan that has expired, and takes the buttons away', async () => {
    await begin();
    await rig.breaks();
    const asked = await askingCard();
    const [approve] = [dataOf(asked, 'Approve')];
    await rig.end();
    rig.clock.jump(13 * HOUR);
    // The tap comes before the daemon has found out by itself.
    const made = rig.api.press(asked, 'Approve', { data: approve });
    await rig.begin();
    await rig.api.until(() => made.answers.length > 0);
    expect(made.answers[0]).toMatch(/expired|does not wait/);
    expect(await rig.store.ledger({})).toEqual([]);
  });

  it('refuses what is forged, guessed, or taken from another card', async () => {
    await begin();
    await rig.breaks();
    const asked = await askingCard();
    const other = await ask('incident 1');
    const handle = dataOf(asked, 'Approve').slice(2);
    const details = dataOf(asked, 'Details').slice(2);
    for (const [message, data] of [
      [asked, `a:${'A'.repeat(22)}`],
      [asked, 'approve:1'],
      [asked, `a:${handle}x`],
      [other, `a:${handle}`],
      [asked, `y:${details}`],
      [asked, `r:${handle}`],
    ] as const)
      expect(await press(message, 'Approve', { data })).toBe('This button is not valid.');
    expect(await rig.store.approval('1-1')).toBeNull();
  });

  it('that came too late for a pop-up is answered in words', async () => {
    await begin();
    await rig.breaks();
    const asked = await askingCard();
    const approve = dataOf(asked, 'Approve');
    await rig.end();
    const made = rig.api.press(asked, 'Deny');
    rig.clock.jump(2 * MINUTE);
    await rig.begin();
    await rig.answered(1);
    expect(made.answers).toEqual([]);
    expect(rig.texts().at(-1)).toContain('✅ Denied: install wordtrim');
    await rig.end();
    const again = rig.api.press(asked, 'Approve', { data: approve });
    rig.clock.jump(13 * HOUR);
    await rig.begin();
    await rig.answered(2);
    expect(again.answers).toEqual([]);
    expect(rig.texts().at(-1)).toContain('❌ Already decided: deny by user 1001.');
    expect(await rig.store.approval('1-1')).toMatchObject({ verdict: 'denied' });
  });

  it('that a crash interrupted before it was stored is made after it, once, and told', async () => {
    await begin();
    const { id } = await rig.breaks();
    const asked = await askingCard();
    await rig.end();
    await rig.store.setValue('telegram/asked', [interruptedPress('approve', asked, rig.clock.now())]);
    await rig.begin();
    await rig.answered(1);
    const told = rig.texts().find((text) => text.includes('I was interrupted at "approve 1"'));
    expect(told).toContain('✅ Approved: install wordtrim 1.2.0');
    expect(told).toContain('#1 now: ');
    await rig.reaches(id, 'resolved');
    await rig.delivered();
    expect(labels(asked)).toEqual(['Details']);
    expect(await rig.store.ledger({})).toHaveLength(1);
  });

  it('of a person who was taken off the list meanwhile is not made', async () => {
    await begin();
    await rig.breaks();
    const asked = await askingCard();
    await rig.end();
    const row = { ...interruptedPress('approve', asked, rig.clock.now()), user: 4242 };
    await rig.store.setValue('telegram/asked', [row]);
    await rig.begin();
    expect(await press(asked, 'Approve')).toContain('✅ Approved');
    expect(await rig.store.approval('1-1')).toMatchObject({ verdict: 'approved', by: expect.stringContaining('1001') });
    expect(rig.texts().some((text) => text.includes('I was interrupted'))).toBe(false);
  });

  it('that was interrupted long ago is not made any more, and the card can be pressed again', async () => {
    await begin();
    await rig.breaks();
    const asked = await askingCard();
    await rig.end();
    const row = interruptedPress('approve', asked, rig.clock.now() - 6 * MINUTE);
    await rig.store.setValue('telegram/asked', [row]);
    await rig.begin();
    await rig.answered(1);
    expect(rig.texts().at(-1)).toMatch(/I was interrupted at "approve 1".*\n.*#1 now: waits for you/);
    expect(await rig.store.approval('1-1')).toBeNull();
    expect(await press(asked, 'Approve')).toContain('✅ Approved');
  });

  it('to roll back that a stop interrupts is told after the start, and is not begun again', async () => {
    await begin();
    const { id } = await rig.breaks();
    await press(await askingCard(), 'Approve');
    await rig.reaches(id, 'resolved');
    await rig.delivered();
    const result = rig.api.sent().find((m) => m.text.includes(': fixed')) as FakeMessage;
    let begun = 0;
    let goOn = () => {};
    const stopped = new Promise<void>((resolve) => (goOn = resolve));
    rig.script.hands = async (plan, verb) => {
      if (verb === 'undo') begun++;
      await stopped;
      return rig.scripted(plan, verb);
    };
    await press(result, 'Roll back');
    await rig.api.until(() => labels(result).includes('Yes, roll back'));
    expect(await press(result, 'Yes, roll back', { takes: true })).toBe('⏳ Working on it…');
    const ended = rig.end();
    goOn();
    await ended;
    const before = rig.answers.length;
    await rig.begin();
    await rig.answered(before + 1);
    expect(rig.texts().find((text) => text.includes('I was interrupted at "rollback 1"'))).toContain('#1 now: ');
    await rig.reaches(id, 'needs-human');
    expect(begun).toBe(1);
  });

  it('is answered honestly when nothing can be written, whatever was pressed', async () => {
    await begin();
    await rig.breaks();
    const asked = await askingCard();
    await rig.end();
    const { setValue, swapValue } = rig.store;
    const full = () => Promise.reject(new StoreError('full', 'the disk is full'));
    Object.assign(rig.store, { setValue: full, swapValue: full });
    await rig.begin();
    for (const label of ['Approve', 'Deny', 'Silence 2 h'])
      expect(await press(asked, label)).toMatch(
        /❌ Nothing was done: my memory .* cannot be written \(the disk is full\)/,
      );
    await press(asked, 'Details');
    await rig.api.until(() => rig.texts().at(-1)?.includes('Plan for #1') ?? false);
    const noted = 'an answer was sent and could not be noted {"error":"the disk is full"}';
    await vi.waitUntil(() => rig.said.includes(noted), { timeout: 30_000 });
    await rig.end();
    Object.assign(rig.store, { setValue, swapValue });
    await rig.begin();
    expect(await rig.store.approval('1-1')).toBeNull();
    expect((await rig.store.incident('1'))?.state.name).toBe('awaiting-approval');
    expect(await press(asked, 'Approve')).toContain('✅ Approved');
  });

  it('gives a stranger who presses nothing at all', async () => {
    await begin();
    await rig.breaks();
    const asked = await askingCard();
    const made = rig.api.press(asked, 'Approve', { user: STRANGER });
    expect(await press(asked, 'Approve')).toContain('✅');
    expect(made.answers).toEqual([]);
    expect(await rig.store.approval('1-1')).toMatchObject({ by: 'telegram:1001' });
  });

  it('refuses the old card when a new plan waits', async () => {
    await begin();
    const { id } = await rig.breaks();
    const first = await askingCard();
    const old = dataOf(first, 'Approve');
    await rig.happens(id, { kind: 'expired', at: rig.clock.now() });
    await rig.operations.fix(id, 'cli:root');
    await rig.reaches(id, 'awaiting-approval');
    await rig.delivered();
    const answer = await press(first, 'Approve', { data: old });
    expect(answer).toContain('changed');
    expect(await rig.store.approval('1-2')).toBeNull();
  });

  it('shows details on request, with exact steps and the way back', async () => {
    await begin();
    await rig.breaks();
    const asked = await askingCard();
    await press(asked, 'Details');
    await rig.answered(1);
    const details = rig.api.sent().find(({ messageId }) => messageId === rig.answers[0])?.text;
    expect(details).toContain('install wordtrim==1.2.0 from https://pypi.org/simple');
    expect(details).toContain('undo: puts back what was there');
  });

  it('silences for two hours', async () => {
    await begin();
    const { id } = await rig.breaks();
    const asked = await askingCard();
    await press(asked, 'Silence 2 h');
    const incident = await rig.reaches(id, 'silenced');
    expect(incident.state).toMatchObject({ by: 'telegram:1001' });
  });

  it('rolls back only after a second tap', async () => {
    await begin();
    const { id } = await rig.breaks();
    await press(await askingCard(), 'Approve');
    await rig.reaches(id, 'resolved');
    await rig.delivered();
    const result = rig.api.sent().find((m) => m.text.includes(': fixed')) as FakeMessage;
    expect(await press(result, 'Roll back')).toBe('Roll back incident 1?');
    await rig.api.until(() => labels(result).includes('Yes, roll back'));
    expect((await rig.store.incident(id))?.state.name).toBe('resolved');
    expect(await press(result, 'No, leave it')).toBe('Left as it is.');
    await rig.api.until(() => labels(result).includes('Roll back'));
    await press(result, 'Roll back');
    await rig.api.until(() => labels(result).includes('Yes, roll back'));
    await press(result, 'Yes, roll back', { takes: true });
    await rig.reaches(id, 'needs-human');
    expect((await rig.store.incident(id))?.outcome?.kind).toBe('rolled-back');
    await ask(`rollback ${id}`, { takes: 'has been taken back already' });
  });
});

describe('commands', () => {
  it('answer with at least what the specification shows', async () => {
    await begin({ config: { autoFix: true } });
    await rig.breaks({ type: 'import_error' });
    await rig.breaks({
      type: 'git_error',
      severity: 'medium',
      message: 'CONFLICT (content): Merge conflict in app.py',
    });
    await askingCard();
    const health = (await ask('health check')).text;
    for (const part of [
      '🩺 Health Check Results',
      'Errors (last 30min): 2',
      'Auto-fixable:',
      'By Severity:',
      'Recent Errors:',
    ])
      expect(health).toContain(part);
    const errors = (await ask('Show Errors')).text;
    for (const part of ['📊 Error Report (Last Hour)', 'Total Errors: 2', 'By Type:', '• import_error: 1'])
      expect(errors).toContain(part);
    expect((await ask('show error report')).text).toContain('Fixes so far:');
    expect((await ask('status')).text).toContain('selfheal runs (pid 4711)');
    expect((await ask('incidents')).text).toContain('#1 agent import_error');
    expect((await ask('incident 1')).text).toContain('State: waits for you');
    expect((await ask('plan 1')).text).toContain('Risk: reversible');
    expect((await ask('logs 1')).text).toContain('agent.log line 12');
    expect((await ask('why 1')).text).toContain('Because:');
    expect((await ask('pull latest from git')).text).toContain('⬇️ Pull latest from git');
    expect((await ask('history')).text).toContain('Nothing was done yet');
    expect((await ask('frobnicate')).text).toContain('Did you mean');
    expect((await ask('incident 99')).text).toContain('There is no incident 99');
  });

  it('fix errors works until the end and tells it', async () => {
    await begin({ config: { services: [{ ...service('agent'), fixes: { 'install-package': 'auto' } }] } });
    await rig.breaks({ state: { name: 'open', notBefore: rig.clock.now() + HOUR } });
    rig.script.hands = async (plan, verb) => {
      await vi.waitUntil(() => rig.texts().some((text) => text.includes('Working on it')), { timeout: 30_000 });
      return rig.scripted(plan, verb);
    };
    rig.api.say('fix errors');
    const answer = () => rig.texts().find((text) => text.includes('Auto-Fix Complete'));
    await rig.api.until(() => answer() !== undefined, 20_000);
    expect(answer()).toContain('Successful: 1 ✅');
    expect(answer()).toContain('✅ All fixes applied successfully!');
    await ask('fix errors', { takes: 'Nothing to fix' });
  });

  it('decide by word when only one plan waits, and ask back when several do', async () => {
    await begin();
    expect((await ask('approve')).text).toBe('Nothing waits for a decision.');
    const { id } = await rig.breaks();
    await askingCard();
    expect((await ask('deny')).text).toContain('✅ #1 · Denied');
    await rig.reaches(id, 'needs-human');
  });

  it('pause and resume all acting', async () => {
    await begin();
    expect((await ask('pause for maintenance')).text).toContain('Paused: watching goes on');
    expect((await ask('status')).text).toContain('⏸ Paused by user 1001');
    expect((await ask('resume')).text).toContain('✅');
    expect((await ask('pause 2h')).text).toContain('until 2026-01-05 14:0');
    expect((await ask('status')).text).toMatch(/⏸ Paused by user 1001 .* until 2026-01-05 14:0/);
  });

  it('close an incident that a person has seen to, and silence one without forgetting it', async () => {
    await begin();
    await rig.breaks({ fixable: false, type: 'timeout' });
    await rig.breaks({ fixable: false, type: 'git_error' });
    await rig.reaches('2', 'needs-human');
    expect((await ask('silence 1')).text).toMatch(/Incident 1 is silenced until 2026-01-05 14:0/);
    expect((await ask('status')).text).toContain('1 needs you, 1 silenced');
    expect((await ask('health check')).text).toContain('❌ Not healthy: 1 open, send "incidents". 1 silenced.');
    expect((await ask('resolve 2')).text).toContain('✅ Incident 2 is closed');
    await rig.reaches('2', 'resolved');
    expect((await ask('health check')).text).toContain('✅ All is well. 1 silenced.');
    expect((await ask('incidents')).text).toContain('🔕 #1 agent timeout');
  });

  it('are refused when they change something and are older than five minutes', async () => {
    await begin();
    const late = rig.clock.now() - 6 * MINUTE;
    expect((await ask('pause', { at: late })).text).toContain('was sent 6 min ago');
    expect((await ask('status', { at: late })).text).not.toContain('Paused by');
  });

  it('sent during a night without network are read once, in order, and nothing old is acted on', async () => {
    await begin();
    await rig.api.down();
    rig.api.say('pause');
    rig.api.say('status');
    rig.clock.jump(8 * HOUR);
    rig.api.say('help');
    await rig.api.up();
    await rig.api.until(() => rig.api.sent().some((m) => m.text.includes('What I understand')));
    expect(rig.texts().filter((t) => t.includes('min ago'))).toHaveLength(1);
    expect(await rig.store.value('pause')).toBeNull();
  });

  it('are carried out once when the same update is delivered again', async () => {
    await begin();
    const update = {
      message: {
        message_id: 5,
        date: Math.floor(rig.clock.now() / 1000),
        from: { id: OWNER, is_bot: false, first_name: 'o' },
        chat: { id: OWNER, type: 'private' },
        text: 'status',
      },
    };
    rig.api.push(update, 900_002);
    await rig.answered(1);
    await rig.end();
    await rig.begin();
    rig.api.push(update, 900_002);
    await ask('help');
    expect(rig.api.sent()).toHaveLength(2);
  });

  it('that only show are answered while the store cannot be written, others say that nothing was done', async () => {
    await begin();
    await rig.breaks();
    await askingCard();
    const before = rig.api.sent().length;
    const full = new StoreError('full', 'the disk is full');
    const { setValue } = rig.store;
    Object.assign(rig.store, { setValue: () => Promise.reject(full) });
    rig.api.say('incident 1');
    await rig.api.until(() => rig.api.sent().length === before + 1);
    expect(rig.texts().at(-1)).toContain('State: waits for you');
    rig.api.say('pause for dinner');
    await rig.api.until(() => rig.api.sent().length === before + 2);
    expect(rig.texts().at(-1)).toMatch(/Nothing was done about "pause for dinner".*the disk is full/);
    Object.assign(rig.store, { setValue });
    expect((await ask('help')).text).toContain('What I understand');
    expect(await rig.store.value('pause')).toBeNull();
    expect(rig.api.sent()).toHaveLength(before + 3);
  });

  it('set up their menu for the owner alone', async () => {
    await begin();
    await rig.api.until(() => rig.api.commands.length > 0);
    expect(rig.api.commands.map((c) => c.command)).toContain('health');
    expect(rig.api.callsOf('setMyCommands')[0]?.params.scope).toEqual({ type: 'chat', chat_id: OWNER });
  });
});

describe('an answer', () => {
  const failing = (fault: FakeFault) => (call: FakeCall) => (call.method === 'sendMessage' ? fault : undefined);
  const asked = (update: number, command: Asked['command'], at: number): Asked => {
    const place = { chat: OWNER, key: `answer:${update}` };
    return { update, user: OWNER, command, text: command.name, question: 1, place, at, answer: null };
  };

  it('that the network has kept back comes when it is there again, once, and holds up nothing', async () => {
    await begin();
    let refused = 0;
    rig.api.fault = failing({ kind: 'status', status: 502 });
    const [first, second] = [rig.api.say('pause'), rig.api.say('status')];
    await rig.api.until(() => (refused = rig.api.callsOf('sendMessage').length) > 3);
    expect(refused).toBeGreaterThan(3);
    rig.api.fault = () => undefined;
    rig.clock.jump(2 * MINUTE);
    await rig.answered(2);
    expect(rig.texts().map((text) => text.split('\n')[0])).toEqual(
      expect.arrayContaining([expect.stringContaining('Paused'), expect.stringContaining('selfheal runs')]),
    );
    expect(rig.api.sent()).toHaveLength(2);
    // Whoever gets an answer late is told what it answers.
    const quoted = rig.api.callsOf('sendMessage').filter(({ status }) => status === 200);
    expect(quoted.map(({ params }) => (params.reply_parameters as { message_id: number }).message_id).sort()).toEqual([
      first,
      second,
    ]);
  });

  it('that a crash has kept back is sent after it, and what was done is not done again', async () => {
    await begin();
    rig.api.fault = failing({ kind: 'hang' });
    rig.api.say('pause for dinner');
    await rig.api.until(() => rig.api.callsOf('sendMessage').length > 0);
    const paused = await rig.store.value('pause');
    await rig.end();
    rig.api.fault = () => undefined;
    rig.clock.jump(MINUTE);
    await rig.begin();
    await rig.answered(1);
    expect(rig.texts()).toEqual([expect.stringContaining('Paused')]);
    expect(paused).not.toBeNull();
    expect(await rig.store.value('pause')).toEqual(paused);
  });

  it('to what a crash has interrupted: a question is answered, a wish is not carried out again', async () => {
    await begin();
    await rig.end();
    const now = rig.clock.now();
    const left = [
      asked(1, { name: 'status' }, now),
      asked(2, { name: 'pause', reason: '', forMs: null }, now),
      asked(3, { name: 'help' }, now - 2 * HOUR),
    ];
    await rig.store.setValue('telegram/asked', left);
    await rig.begin();
    await rig.answered(2);
    expect(rig.texts()).toEqual([
      expect.stringContaining('selfheal runs'),
      expect.stringContaining('I was interrupted at "pause"'),
    ]);
    expect(await rig.store.value('pause')).toBeNull();
  });

  it('to a wish that was stored and not yet marked as taken is not followed by the act when it comes again', async () => {
    await begin();
    await rig.end();
    await rig.store.setValue('telegram/asked', [
      asked(900_010, { name: 'pause', reason: '', forMs: null }, rig.clock.now()),
    ]);
    await rig.begin();
    await rig.answered(1);
    await vi.waitUntil(async () => (await rig.store.value<readonly Asked[]>('telegram/asked'))?.length === 0);
    const message = {
      message_id: 5,
      date: Math.floor(rig.clock.now() / 1000),
      from: { id: OWNER, is_bot: false, first_name: 'o' },
      chat: { id: OWNER, type: 'private' },
      text: 'pause',
    };
    rig.api.push({ message }, 900_010);
    await ask('help');
    expect(await rig.store.value('pause')).toBeNull();
  });

  const inPieces = (at: number): Asked => ({
    ...asked(900_030, { name: 'pull', service: null }, at),
    answer: { lines: ['first', 'second', 'third'].map((word) => `${word} ${'x '.repeat(1_700)}`) },
  });
  const firstWords = () => rig.texts().map((text) => text.split(' ')[0]);

  it('in several pieces goes on behind the piece that was sent, after a refusal', async () => {
    await begin();
    await rig.end();
    await rig.store.setValue('telegram/asked', [inPieces(rig.clock.now())]);
    let sends = 0;
    rig.api.fault = (call) =>
      call.method === 'sendMessage' && ++sends === 2 ? { kind: 'status', status: 429, retryAfter: 30 } : undefined;
    await rig.begin();
    await rig.answered(3);
    expect(firstWords()).toEqual(['first', 'second', 'third']);
    expect(sends).toBe(4);
  });

  it('in several pieces goes on behind the piece that was sent, after a restart', async () => {
    await begin();
    await rig.end();
    await rig.store.setValue('telegram/asked', [inPieces(rig.clock.now())]);
    let sends = 0;
    rig.api.fault = (call) => (call.method === 'sendMessage' && ++sends > 2 ? { kind: 'hang' } : undefined);
    await rig.begin();
    await rig.api.until(() => sends === 3);
    await rig.end();
    rig.api.fault = () => undefined;
    await rig.begin();
    await rig.answered(3);
    expect(firstWords()).toEqual(['first', 'second', 'third']);
  });

  it('that cannot be sent for a day is given up, and that is logged', async () => {
    await begin();
    rig.api.fault = failing({ kind: 'status', status: 429, retryAfter: 3_600 });
    rig.api.say('pause for dinner');
    await vi.waitUntil(() => rig.said.some((line) => line.includes('could not be sent')), { timeout: 30_000 });
    rig.clock.jump(25 * HOUR);
    await rig.answered(0);
    expect(rig.said.join('\n')).toContain('an answer was given up');
    expect(await rig.store.value('telegram/asked')).toEqual([]);
    expect(rig.api.sent()).toEqual([]);
  });

  it('takes the place of the message that said to wait, and comes by itself when that was deleted', async () => {
    await begin({ config: { services: [{ ...service('agent'), fixes: { 'install-package': 'auto' } }] } });
    await rig.breaks({ state: { name: 'open', notBefore: rig.clock.now() + HOUR } });
    rig.script.hands = async (plan, verb) => {
      const waiting = () => rig.api.sent().find(({ text }) => text.includes('Working on it'));
      if (verb === 'act') await rig.api.until(() => waiting() !== undefined);
      Object.assign(waiting() ?? {}, { deleted: true });
      return rig.scripted(plan, verb);
    };
    rig.api.say('fix errors');
    await rig.api.until(() => rig.texts().some((text) => text.includes('Successful: 1')));
  });

  it('long logs come as a file', async () => {
    await begin();
    await rig.breaks({
      samples: [1, 2, 3].map((line) => ({ at: 0, source: 's', line, endLine: line, text: 'x y\n'.repeat(900) })),
    });
    const answer = await ask('logs 1');
    expect(answer.document?.name).toBe('selfheal.txt');
    expect(answer.document?.content).toContain('s line 3');
  });

  it('goes out as plain text when the server does not like the formatting', async () => {
    await begin();
    rig.api.fault = (call) =>
      call.params.parse_mode
        ? {
            kind: 'status',
            status: 400,
            description: "Bad Request: can't parse entities: Unclosed start tag at byte offset 3",
          }
        : undefined;
    await rig.breaks();
    const asked = await askingCard();
    expect(asked.parseMode).toBeNull();
    expect(asked.text).toContain('may I fix it?');
    expect((await ask('help')).text).toContain('What I understand');
  });
});

describe('a bad network', () => {
  it('neither holds up the start nor the end, and commands come through afterwards', async () => {
    await begin();
    await rig.api.down();
    await rig.end();
    // Time stands still: whoever waited for a second attempt would wait for ever.
    rig.clock.freeze();
    await rig.begin();
    rig.clock.thaw();
    await rig.api.up();
    expect((await ask('help')).text).toContain('What I understand');
  });

  it('stops in the middle of a long poll at once', async () => {
    await begin({ speed: 1 });
    await rig.api.until(() => rig.api.polled);
    const started = Date.now();
    await rig.end();
    // The poll itself would last thirty seconds.
    expect(Date.now() - started).toBeLessThan(15_000);
  });

  it('stops while the server does not answer', async () => {
    await begin({ speed: 1 });
    await rig.api.until(() => rig.api.callsOf('getUpdates').length > 0);
    rig.api.fault = () => ({ kind: 'hang' });
    rig.api.say('status');
    await rig.api.until(() => rig.api.callsOf('sendMessage').length > 0);
    const started = Date.now();
    await rig.end();
    // The call itself would last twenty seconds.
    expect(Date.now() - started).toBeLessThan(15_000);
  });

  it('lives with a second poller, and says so once', async () => {
    await begin();
    await rig.api.until(() => rig.api.callsOf('getUpdates').length > 0);
    for (let i = 0; i < 3; i++) {
      await fetch(`${rig.api.url}/bot${rig.api.token}/getUpdates?timeout=0`);
      rig.clock.jump(MINUTE);
      const polls = rig.api.callsOf('getUpdates').length;
      await rig.api.until(() => rig.api.callsOf('getUpdates').length > polls);
    }
    expect((await ask('help')).text).toContain('What I understand');
    expect(rig.said.filter((line) => line.includes('another program polls')).length).toBeGreaterThan(0);
  });

  it('warns its owner once when another program keeps taking the commands', async () => {
    await begin();
    let taken = 0;
    const conflict =
      'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running';
    rig.api.fault = (call) =>
      call.method === 'getUpdates' && taken < 5 && ++taken > 0
        ? { kind: 'status', status: 409, description: conflict }
        : undefined;
    const polling = setInterval(() => rig.clock.jump(MINUTE), 50);
    await rig.api.until(() => taken === 5 && rig.api.sent().length > 0).finally(() => clearInterval(polling));
    await rig.delivered();
    expect(rig.texts()).toEqual([expect.stringContaining('🎭 Your commands may not reach me')]);
  });

  it('waits as long as it is told to', async () => {
    await begin();
    let refused = 0;
    rig.api.fault = (call) =>
      call.method === 'getUpdates' && refused++ < 1 ? { kind: 'status', status: 429, retryAfter: 40 } : undefined;
    const before = rig.clock.now();
    rig.api.say('help');
    await rig.api.until(() => refused > 0);
    await rig.api.until(() => rig.api.sent().length > 0);
    expect(rig.clock.now() - before).toBeGreaterThanOrEqual(40_000);
  });

  it.each([
    ['a proxy page', { kind: 'html', status: 502 } as const],
    ['an endless answer', { kind: 'endless' } as const],
    ['a cut connection', { kind: 'cut', when: 'before' } as const],
    ['a lost token', { kind: 'status', status: 401 } as const],
  ])('comes back after %s', async (_, fault) => {
    await begin();
    let times = 0;
    rig.api.fault = (call) => (call.method === 'getUpdates' && times++ < 2 ? fault : undefined);
    rig.api.say('help');
    await rig.api.until(() => times > 1);
    rig.clock.jump(2 * MINUTE);
    await rig.api.until(() => rig.api.sent().length > 0);
    expect(rig.said.length).toBeLessThanOrEqual(4);
  });
});
