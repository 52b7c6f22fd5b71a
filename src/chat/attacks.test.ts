// What strangers, logs and a broken network try against the owner's chat. None of it may succeed: nothing
// is done, nothing is tappable, nothing poses as our own words, and the token is nowhere.

import { afterEach, describe, expect, it, vi } from 'vitest';
import { Secret } from '../config/secret.ts';
import { propose } from '../fixes/contract.ts';
import { systemClock } from '../host/clock.ts';
import { createTelegramNotifier } from '../notifiers/index.ts';
import { installWordtrim, OWNER, OwnerRig, type RigOptions } from '../testing/owner-rig.ts';
import { parseHtml, tappable, type FormattedText } from '../testing/telegram-entities.ts';
import type { FakeCall, FakeMessage } from '../testing/telegram.ts';
import { poll } from './poll.ts';
import { checkToken, sendTestCard, waitForOwner } from './setup.ts';

const MINUTE = 60_000;
const GROUP = -1_001_000_000_001;
const STRANGER = 666;
const SECOND = 1002;

let rig: OwnerRig;
afterEach(() => rig?.close());

async function begin(options: RigOptions = {}): Promise<OwnerRig> {
  rig = await OwnerRig.start(options);
  return rig;
}

const ask: OwnerRig['ask'] = (...said) => rig.ask(...said);
const press: OwnerRig['press'] = (...pressed) => rig.press(...pressed);
const dataOf = (message: FakeMessage, label: string) =>
  message.buttons.flat().find((b) => b.text === label)?.callback_data as string;
const labels = (message: FakeMessage) => message.buttons.flat().map((b) => b.text);
const person = (id: number) => ({ id, is_bot: false, first_name: `user${id}` });

/** Nothing was said to what came before: a question after it is answered, and that is all. */
async function nothingSaid(before: number): Promise<void> {
  const answer = await ask('/help', { user: OWNER, chat: rig.config.telegram?.chat ?? OWNER });
  expect(answer.text).toContain('What I understand');
  expect(rig.api.sent().length).toBe(before + 1);
}

async function ignored(text: string, options: Parameters<OwnerRig['api']['say']>[1] = {}): Promise<void> {
  const before = rig.api.sent().length;
  rig.api.say(text, options);
  await nothingSaid(before);
}

async function askingCard(): Promise<FakeMessage> {
  const asking = () => rig.api.sent().find((m) => m.buttons.flat().some((b) => b.text === 'Approve'));
  await rig.api.until(() => asking() !== undefined);
  await rig.delivered();
  return asking() as FakeMessage;
}

describe('who may speak', () => {
  it('strangers get silence, and the owner one notice a day', async () => {
    await begin();
    for (let i = 0; i < 5; i++) rig.api.say('fix errors', { user: STRANGER, extra: {} });
    await rig.api.until(() => rig.api.sent().length === 1);
    await ask('help');
    expect(rig.texts()[0]).toContain('User id 666 is not on the list');
    expect(rig.api.sent()).toHaveLength(2);
    expect(rig.api.sent().every((m) => m.chat === OWNER)).toBe(true);
  });

  it('a flood of strangers is not passed on', async () => {
    await begin();
    for (let user = 2000; user < 2050; user++) rig.api.say('hi', { user });
    await ask('help');
    await rig.delivered();
    expect(rig.texts().filter((t) => t.includes('stranger'))).toHaveLength(5);
  });

  it.each([
    [
      'a forwarded message',
      { forward_origin: { type: 'user', date: 1, sender_user: { id: OWNER, is_bot: false, first_name: 'o' } } },
    ],
    ['an inline bot', { via_bot: { id: 5, is_bot: true, first_name: 'b' } }],
    ['an anonymous admin or channel', { sender_chat: { id: GROUP, type: 'supergroup', title: 'g' } }],
    ['another bot', { from: { id: OWNER, is_bot: true, first_name: 'b' } }],
  ])('%s is ignored', async (_, extra) => {
    await begin();
    await ignored('pause', { extra });
    expect(await rig.store.value('pause')).toBeNull();
  });

  it.each([
    'edited_message',
    'channel_post',
    'edited_channel_post',
    'business_message',
    'my_chat_member',
    'inline_query',
    'message_reaction',
  ])('an update of the kind %s is nothing, even when the server sends it unasked', async (kind) => {
    await begin();
    const before = rig.api.sent().length;
    const message = { message_id: 5, date: Math.floor(rig.clock.now() / 1000), from: person(OWNER), text: 'pause' };
    rig.api.push(
      { [kind]: { ...message, chat: { id: OWNER, type: 'private' }, query: 'pause' } },
      undefined,
      'unasked',
    );
    await nothingSaid(before);
    expect(await rig.store.value('pause')).toBeNull();
  });

  it('edited messages are not asked for', async () => {
    await begin();
    await rig.api.until(() => rig.api.callsOf('getUpdates').length > 0);
    expect(rig.api.callsOf('getUpdates')[0]?.params.allowed_updates).toEqual(['message', 'callback_query']);
  });

  it('a command for another bot is ignored', async () => {
    await begin();
    await ignored('/pause@other_bot');
  });

  it('the owner in a foreign group is ignored', async () => {
    await begin({ telegram: { chats: [OWNER, GROUP], limit: { count: 1000, windowMs: 1000 } } });
    await ignored('/status', { chat: GROUP });
  });

  it('in the owner group only listed users are heard, and chatter is left alone', async () => {
    await begin({ chat: GROUP, telegram: { chats: [GROUP, OWNER], limit: { count: 1000, windowMs: 1000 } } });
    await ignored('so what do we eat tonight?', { chat: GROUP });
    expect((await ask('/status', { chat: GROUP })).chat).toBe(GROUP);
    rig.api.say('/status', { user: STRANGER, chat: GROUP });
    await rig.api.until(() => rig.texts().some((t) => t.includes('User id 666')));
    expect(rig.texts().filter((t) => t.includes('selfheal runs'))).toHaveLength(1);
  });
});

describe('a button', () => {
  const pressOf = (data: string, message: object, from = OWNER) => ({
    callback_query: { id: '4711', from: person(from), message, chat_instance: '1', data },
  });

  it('works on the message it was sent with, and on no other, in no other chat, and not without one', async () => {
    await begin({ telegram: { chats: [OWNER, GROUP], limit: { count: 1000, windowMs: 1000 } } });
    await rig.breaks();
    const asked = await askingCard();
    const data = dataOf(asked, 'Approve');
    const before = rig.api.sent().length;
    for (const update of [
      pressOf(data, { message_id: asked.messageId, date: 1, chat: { id: GROUP, type: 'supergroup' } }),
      pressOf(data, { message_id: asked.messageId + 1, date: 1, chat: { id: OWNER, type: 'private' } }),
      pressOf(data, { message_id: asked.messageId, date: 0, chat: { id: OWNER, type: 'private' } }, STRANGER),
      { callback_query: { id: '4712', from: person(OWNER), inline_message_id: 'x', chat_instance: '1', data } },
      { callback_query: { id: '4713', from: person(OWNER), chat_instance: '1', game_short_name: 'g' } },
    ])
      rig.api.push(update);
    await nothingSaid(before);
    expect(await rig.store.approval('1-1')).toBeNull();
  });

  it('decides once, whoever of several listed users was first', async () => {
    await begin({
      chat: GROUP,
      allowedUsers: [OWNER, SECOND],
      telegram: { chats: [GROUP], limit: { count: 1000, windowMs: 1000 } },
    });
    await rig.breaks();
    const asked = await askingCard();
    expect(await press(asked, 'Deny', { user: SECOND })).toMatch(/denied/i);
    expect(await press(asked, 'Approve', { user: OWNER, data: `a:${'x'.repeat(22)}` })).toContain('not valid');
    await rig.reaches('1', 'needs-human');
    expect(await rig.store.approval('1-1')).toMatchObject({ verdict: 'denied', by: `telegram:${SECOND}` });
    expect(await rig.store.ledger({})).toEqual([]);
  });

  it('of a group is nothing to a member who is not listed', async () => {
    await begin({ chat: GROUP, telegram: { chats: [GROUP], limit: { count: 1000, windowMs: 1000 } } });
    await rig.breaks();
    const asked = await askingCard();
    const made = rig.api.press(asked, 'Approve', { user: STRANGER });
    await ask('/help', { chat: GROUP });
    expect(made.answers).toEqual([]);
    expect(await rig.store.approval('1-1')).toBeNull();
  });

  it('ends when the decision was stored but a crash kept its answer back', async () => {
    await begin();
    await rig.breaks();
    const asked = await askingCard();
    const plan = await rig.store.plan('1-1');
    await rig.end();
    await rig.store.decide({ plan: '1-1', hash: plan?.hash ?? '', verdict: 'denied', by: 'telegram:1001', at: 1 });
    const again = rig.api.press(asked, 'Approve');
    await rig.begin();
    await rig.api.until(() => again.answers.length > 0);
    expect(again.answers[0]).toContain('Already denied by user 1001');
    await rig.reaches('1', 'needs-human');
    await rig.api.until(() => !labels(asked).includes('Approve'));
  });

  it('that asks "are you sure?" is not answered by a tap of another day', async () => {
    await begin();
    await rig.breaks();
    await press(await askingCard(), 'Approve');
    await rig.reaches('1', 'resolved');
    await rig.delivered();
    const result = rig.api.sent().find((m) => m.text.includes(': fixed')) as FakeMessage;
    await press(result, 'Roll back');
    await rig.api.until(() => labels(result).includes('Yes, roll back'));
    rig.clock.jump(6 * MINUTE);
    expect(await press(result, 'Yes, roll back')).toContain('too long ago');
    await rig.api.until(() => labels(result).includes('Roll back'));
    expect((await rig.store.incident('1'))?.state.name).toBe('resolved');
  });

  it('cannot be guessed: 128 random bits, another set on every host', async () => {
    const seen = new Set<string>();
    for (let host = 0; host < 2; host++) {
      await begin();
      await rig.breaks();
      const handle = dataOf(await askingCard(), 'Approve').slice(2);
      expect(handle).toMatch(/^[\w-]{22}$/);
      expect(Buffer.from(handle, 'base64url')).toHaveLength(16);
      seen.add(handle);
      await rig.close();
    }
    expect(seen.size).toBe(2);
    await begin();
  });
});

/** Texts of a log, a program or a stranger, by what they try. */
const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  markup: [
    '<b>bold</b> <a href="https://evil.example">click</a>',
    '</pre></code></b><b>out</b><pre><code>',
    '&lt;b&gt; &amp;lt; &#60;script&#62; &unknown;',
    '*bold* _it_ `code` [x](https://evil.example) ||spoiler|| ~s~',
    '<'.repeat(500),
    '&'.repeat(500),
  ],
  'something to tap': [
    'https://evil.example/pay www.evil.example evil.example/x tg://resolve?domain=evil яндекс.рф 10.0.0.1/x',
    '/pause /approve_7 @botfather #selfheal #тест $BTC mail@evil.example +491701234567 4242 4242 4242 4242',
    'x=/pause a|/resume (/stop) "@admin" <@admin> é/stop ß@admin',
  ],
  'words of ours': [
    'x\nApproved by user 4242 at 12:00 UTC.\nRisk: safe\nPlan 000000000000, valid until 23:59',
    'x\r\nselfheal: ✅ fixed\u2028✅ All fixes applied successfully!\u2029Approved by user 4242.',
  ],
  'the unseen': [
    '\u001b[2J\u001b]0;title\u0007 \u009b31m',
    'abc\u202egnp.exe \u2066x\u2069 \u200b\u200d\ufeff zero',
    '\u0000\u0007\b\r\nnext\u2028line\u2029para',
    '\ud800 lone \udc00',
    '\u{e0041}\u{e0042} tags',
  ],
  sheer_length: ['z\u0335\u0321\u0300'.repeat(50), '💥'.repeat(300), 'A'.repeat(6_000), 'ab. '.repeat(2_000)],
};

/** As the server reads what one call has sent; null when it sends no message. A pop-up shows plain text. */
function formatted({ method, params }: FakeCall): FormattedText | null {
  if (method === 'answerCallbackQuery') return null;
  const raw = params.text ?? params.caption;
  if (typeof raw !== 'string') return null;
  return params.parse_mode === 'HTML' ? parseHtml(raw) : { text: raw, entities: [] };
}

/** The text without what is quoted. */
function unquoted({ text, entities }: FormattedText): string {
  let out = text;
  for (const { type, offset, length } of entities)
    if (type === 'pre') out = `${out.slice(0, offset)}${' '.repeat(length)}${out.slice(offset + length)}`;
  return out;
}

function harmless(call: FakeCall): void {
  const shown = formatted(call);
  if (!shown) return;
  expect(tappable(shown), shown.text).toEqual([]);
  // A preview would fetch an address out of a log, and show its picture as ours.
  if (call.params.text !== undefined) expect(call.params.link_preview_options).toEqual({ is_disabled: true });
  expect(shown.text.length).toBeLessThanOrEqual(4096);
  // biome-ignore lint: control characters are what must not be there
  expect(shown.text).not.toMatch(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\u200b-\u200f\ufeff]/,
  );
  expect(unquoted(shown)).not.toMatch(
    /^(?:Approved by user 4242|Risk: safe|Plan 000000000000|selfheal: ✅|✅ All fixes)/m,
  );
}

/** The rig's world in which every word that is not ours is the attacker's. */
function poison(text: string): void {
  rig.script.diagnose = () => {
    const own = installWordtrim();
    if (own.kind !== 'proposal') return own;
    const { proposal } = own;
    const steps = proposal.steps.map((step) => ({ ...step, title: text }));
    return propose({
      ...proposal,
      title: text,
      why: text,
      steps,
      checks: proposal.checks.map((c) => ({ ...c, title: text })),
    });
  };
  rig.script.hands = async (plan) => ({
    kind: 'finished',
    outcome: {
      kind: 'rollback-failed',
      reason: text,
      byHand: text,
      evidence: [{ check: text, passed: false, text }],
      at: rig.clock.now(),
      plan,
    },
  });
}

describe('hostile text', () => {
  it.each(Object.entries(FAMILIES))('%s is shown everywhere and does nothing anywhere', async (_, texts) => {
    await begin({ speed: 100 });
    const answers: FakeMessage[] = [];
    const ask = async (question: string) => void answers.push(await rig.ask(question));
    for (const [index, text] of texts.entries()) {
      poison(text);
      const { id } = await rig.breaks({
        message: text,
        facts: { module: text },
        samples: [{ at: 0, source: text, line: 1, endLine: 1, text }],
      });
      await rig.reaches(id, 'awaiting-approval');
      for (const question of [`incident ${id}`, `plan ${id}`, `logs ${id}`, `why ${text}`]) await ask(question);
      if (index === 0) await press(await askingCard(), 'Approve');
      else await ask(`approve ${id}`);
      await rig.reaches(id, 'needs-human');
      await ask(`incident ${id}`);
      await rig.breaks({ service: text.slice(0, 80), severity: 'critical', message: text, reason: text });
      await ask(text.startsWith('/') ? `? ${text}` : text);
      rig.api.say('fix errors', { user: 2000 + index, extra: { from: { ...person(2000 + index), first_name: text } } });
      await ask(`pause for ${text}`);
      await ask('status');
      await ask('resume');
    }
    for (const question of ['incidents', 'show errors', 'show error report', 'health check', 'history'])
      await ask(question);
    await rig.delivered();
    const said = rig.api.calls.filter((call) => formatted(call) !== null);
    // Nine questions a text and a tenth where the button is not pressed, and five at the end: each has an answer of its own.
    expect(new Set(answers).size).toBe(10 * texts.length - 1 + 5);
    // Whatever else stands in the chat is a message that the outbox accounts for.
    const told = new Set((await rig.store.outbox({})).map(({ externalId }) => Number(externalId)));
    const strange = rig.api.sent().filter(({ messageId: id }) => !told.has(id) && !rig.answers.includes(id));
    expect(strange.map(({ text }) => text)).toEqual([]);
    for (const call of said) harmless(call);
    // Nothing was refused, so nothing had to go out without its formatting.
    expect(rig.api.calls.filter((call) => call.status >= 400 && !/not modified/.test(call.error ?? ''))).toEqual([]);
    expect(await rig.store.value('pause')).toBeNull();
  });

  it('is pulled apart when the server takes no formatting', async () => {
    await begin();
    const refused = "Bad Request: can't parse entities: Unclosed start tag at byte offset 3";
    rig.api.fault = (call) =>
      call.params.parse_mode ? { kind: 'status', status: 400, description: refused } : undefined;
    const text = (FAMILIES['something to tap'] ?? []).join(' ');
    await rig.breaks({ message: text });
    expect((await askingCard()).text).toContain('may I fix it?');
    await ask('incident 1');
    for (const message of rig.api.sent()) {
      expect(message.parseMode).toBeNull();
      expect(tappable(message), message.text).toEqual([]);
    }
  });
});

describe('the bot token', () => {
  it('the bot token is nowhere, even when a log holds it', async () => {
    await begin();
    const { token } = rig.api;
    await rig.breaks({ message: `GET https://api.telegram.org/bot${token}/getMe`, reason: token.slice(5) });
    await askingCard();
    await ask('incident 1');
    await rig.api.down();
    await rig.breaks();
    rig.clock.jump(MINUTE);
    await vi.waitUntil(() => rig.said.length > 0, { timeout: 30_000 });
    const secret = token.slice(5);
    expect(JSON.stringify(rig.api.messages)).not.toContain(secret);
    expect(rig.said.join('\n')).not.toContain(secret);
  });
  it.each([
    ['an address that is none', (root: string) => root.replace('http', 'ht!tp')],
    ['a port that is none', () => 'http://127.0.0.1:99999'],
    ['a port that browsers refuse', () => 'http://127.0.0.1:6667'],
    ['another scheme', (root: string) => root.replace('http', 'ftp')],
    ['an address with a password', (root: string) => root.replace('//', '//user:pass@')],
    ['an address where nobody listens', () => 'http://127.0.0.1:1'],
  ])('is in no error of %s', async (_, rootOf) => {
    await begin();
    const token = new Secret(rig.api.token);
    const access = { token, apiRoot: rootOf(rig.api.url), allowedUsers: [OWNER], chat: OWNER };
    const told: unknown[] = [];
    const stop = new AbortController();
    const { signal } = stop;
    const log = (message: string, fields: unknown) => void told.push(message, fields);
    const polling = poll(
      { access, clock: systemClock, log, handle: async () => {}, connected: async () => {}, contested: async () => {} },
      signal,
    );
    await vi.waitUntil(() => told.length > 0, { timeout: 30_000 });
    told.push(await checkToken(token.reveal(), { apiRoot: access.apiRoot, signal }));
    told.push(await sendTestCard(access, { node: 'box', signal }));
    const waiting = waitForOwner(access, { code: '123456', clock: systemClock, signal });
    const notification = { id: 'a', key: 'a', incident: null, urgency: 'now', severity: null, reason: '' } as const;
    const notice = { ...notification, title: 't', body: 'b', buttons: [], plan: null, at: 0 };
    told.push(await createTelegramNotifier(access).send(notice, { replaces: null, signal }));
    stop.abort();
    told.push(await waiting);
    await polling;
    const words = JSON.stringify(told);
    expect(words).not.toContain(token.reveal().slice(5));
    expect(words).not.toContain('user:pass');
  });

  it('goes to no other address: redirects are not followed', async () => {
    await begin();
    const { token } = rig.api;
    rig.api.fault = (call) =>
      call.method === 'sendMessage' ? { kind: 'redirect', to: `${rig.api.url}/elsewhere` } : undefined;
    await rig.breaks();
    await rig.tried();
    expect(rig.api.calls.every((call) => call.method !== 'elsewhere')).toBe(true);
    expect(JSON.stringify([rig.said, await rig.store.outbox({})])).not.toContain(token.slice(5));
  });
});

describe('the network', () => {
  it('cannot move the chat: a group that has moved is told, never followed', async () => {
    await begin({ chat: GROUP, telegram: { chats: [GROUP, -100_777], limit: { count: 1000, windowMs: 1000 } } });
    rig.api.migrated.set(GROUP, -100_777);
    await rig.breaks();
    await rig.tried();
    const rows = await rig.store.outbox({});
    expect(rows.some((row) => row.error?.includes('set telegram.chat to -100777 if you trust that'))).toBe(true);
    expect(rig.api.calls.filter((call) => Number(call.params.chat_id) === -100_777)).toEqual([]);
  });

  it('cannot fill the memory: an endless answer is cut and tried again', async () => {
    await begin();
    let endless = 0;
    rig.api.fault = (call) => (call.method === 'sendMessage' && endless++ < 2 ? { kind: 'endless' } : undefined);
    await rig.breaks();
    expect((await askingCard()).text).toContain('may I fix it?');
    expect(endless).toBeGreaterThan(2);
  });
});
