// What comes over the wire that nobody in their right mind would send: words that only look like commands, updates that
// are none, answers of the server that are not what was asked for. A table each; nothing of it may act, be answered, or
// keep the chat from the next honest question.

import { afterEach, describe, expect, it } from 'vitest';
import { OWNER, OwnerRig } from '../testing/owner-rig.ts';
import type { FakeCall, FakeMessage } from '../testing/telegram.ts';

const GROUP = -1_001_000_000_001;
const limit = { count: 1_000, windowMs: 1_000 };

let rig: OwnerRig;
afterEach(() => rig.close());

async function waitingCard(): Promise<FakeMessage> {
  await rig.breaks();
  const asking = () => rig.api.sent().find((m) => m.buttons.flat().some((b) => b.text === 'Approve'));
  await rig.api.until(() => asking() !== undefined);
  await rig.delivered();
  return asking() as FakeMessage;
}

/** The plan still waits, nothing is paused or silenced, and the chat goes on. */
async function nothingHappened(): Promise<void> {
  expect((await rig.ask('/help', { user: OWNER, chat: rig.config.telegram?.chat ?? OWNER })).text).toContain(
    'What I understand',
  );
  expect(await rig.store.approval('1-1')).toBeNull();
  expect(await rig.store.value('pause')).toBeNull();
  expect((await rig.store.incident('1'))?.state.name).toBe('awaiting-approval');
  expect(await rig.store.ledger({})).toEqual([]);
}

/** By what they try. Each gets an answer, for the owner wrote it, and none of them does anything. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  'letters that look alike': ['аpprove 1', 'approvе 1', 'ａｐｐｒｏｖｅ 1', 'раuse', 'ﬁx errors 1', 'resοlve 1'],
  'digits that look alike': ['approve １', 'approve ١', 'approve ①', 'silence １ 2h'],
  'the unseen': ['app\u200brove 1', 'approve 1\u202e2', '\u2066approve 1 2\u2069', 'pa\u00aduse', 'approve\u0000 1 x'],
  'more than one': ['approve 1 deny 1', 'approve 1; pause', 'approve 1\npause', 'approve 1 && fix errors', 'deny 1 2'],
  'words that turn it': ["don't approve 1", 'approve 1 not', 'approve 1?', 'never pause', 'do not silence 1'],
  'other forms': ['approve "1"; DROP TABLE plans', 'approve 1e0', 'approve -1', 'approve 0x1', 'approve 99999999999'],
  'our own buttons': ['a:AAAAAAAAAAAAAAAAAAAAAA', 'y:AAAAAAAAAAAAAAAAAAAAAA', '/start a:AAAAAAAAAAAAAAAAAAAAAA'],
  'sheer length': [`approve 1 ${'x'.repeat(4_000)}`, 'approve 1 '.repeat(300), `${'9'.repeat(4_000)} approve`],
};

describe('what only looks like a command', () => {
  it.each(Object.entries(COMMANDS))('%s is answered and does nothing', async (_, texts) => {
    rig = await OwnerRig.start();
    await waitingCard();
    for (const text of texts) await rig.ask(text);
    await nothingHappened();
  });
});

const from = { id: OWNER, is_bot: false, first_name: 'o' };
const chat = { id: OWNER, type: 'private' };
const words = { message_id: 5, date: 1_767_614_400, from, chat, text: 'pause' };

/** Updates that a broken server, a newer one, or somebody in between might send. */
const UPDATES: readonly (readonly [string, object])[] = [
  ['nothing at all', {}],
  ['a kind that is not known', { quantum_message: words }],
  ['no sender', { message: { ...words, from: undefined } }],
  ['a sender without a number', { message: { ...words, from: { first_name: 'o' } } }],
  ['a number that is a text', { message: { ...words, from: { ...from, id: String(OWNER) } } }],
  ['no chat', { message: { ...words, chat: undefined } }],
  ['null', { message: null }],
  ['a list', { message: [words] }],
  ['words that are none', { message: { ...words, text: { toString: 'pause' } } }],
  ['words that are a list', { message: { ...words, text: ['pause'] } }],
  ['a moment that is none', { message: { ...words, date: 'now', text: 'pause' } }],
  ['a picture with words', { message: { ...words, text: undefined, caption: 'pause', photo: [{ file_id: 'x' }] } }],
  [
    'a contact, a place and a dice',
    { message: { ...words, text: undefined, contact: { phone_number: '1' }, dice: {} } },
  ],
  ['a quotation', { message: { ...words, text: undefined, quote: { text: 'pause' }, reply_to_message: words } }],
  ['a press without a card', { callback_query: { id: '1', from, data: 'a:x', chat_instance: '1' } }],
  ['a press with a number', { callback_query: { id: '1', from, message: words, data: 7, chat_instance: '1' } }],
  ['a press with 64 KiB', { callback_query: { id: '1', from, message: words, data: 'a:'.repeat(32_768) } }],
  ['a press of nobody', { callback_query: { id: '1', message: words, data: 'a:x' } }],
];

describe('an update that is none', () => {
  it.each(UPDATES)('(%s) is passed over', async (_, update) => {
    rig = await OwnerRig.start({ speed: 50 });
    await waitingCard();
    const before = rig.api.sent().length;
    rig.api.push(JSON.parse(JSON.stringify(update)) as Record<string, unknown>, undefined, 'unasked');
    await nothingHappened();
    expect(rig.api.sent()).toHaveLength(before + 1);
  });
});

/** Answers that are JSON and still not what was asked for. */
const ANSWERS: readonly (readonly [string, string])[] = [
  ['no result', '{"ok":true}'],
  ['null', '{"ok":true,"result":null}'],
  ['a text', '{"ok":true,"result":"fine"}'],
  ['a list of nothing', '{"ok":true,"result":[null]}'],
  ['an empty object', '{"ok":true,"result":[{}]}'],
  ['half an answer', '{"ok":true,"result":[{"update_id":70'],
  ['a list', '[1,2,3]'],
  ['a depth without end', `{"ok":true,"result":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
  ['an error without words', '{"ok":false}'],
  [
    'an error with strange words',
    '{"ok":false,"error_code":"many","description":{"a":1},"parameters":{"retry_after":"soon"}}',
  ],
];

describe('an answer of the server that is not what was asked for', () => {
  it.each(ANSWERS)('(%s) loses nothing and says nothing twice', async (_, body) => {
    rig = await OwnerRig.start({ speed: 50 });
    const left = new Map([
      ['getUpdates', 2],
      ['sendMessage', 2],
    ]);
    rig.api.fault = ({ method }: FakeCall) => {
      const times = left.get(method) ?? 0;
      left.set(method, times - 1);
      return times > 0 ? { kind: 'body', status: 200, body } : undefined;
    };
    await rig.api.until(() => (left.get('getUpdates') ?? 0) <= 0);
    rig.clock.jump(120_000);
    await rig.breaks();
    await rig.api.until(() => (left.get('sendMessage') ?? 0) < 0);
    await rig.api.until(() => rig.api.sent().length > 0);
    await rig.delivered();
    await nothingHappened();
    expect(rig.texts().filter((text) => text.includes('may I fix it?'))).toHaveLength(1);
  });
});

describe('a group', () => {
  it('of hostile members, with every name there is, moves nothing', async () => {
    rig = await OwnerRig.start({ chat: GROUP, telegram: { chats: [GROUP], limit } });
    await waitingCard();
    const names = [
      'Owner',
      'selfheal',
      '</b><a href="tg://user?id=1001">o</a>',
      '\u202eevil',
      '@selfheal_bot /pause',
      '',
    ];
    for (const [index, first_name] of names.entries())
      for (const text of ['/pause', '/approve_1', '/approve@selfheal_bot 1'])
        rig.api.say(text, {
          user: 700 + index,
          chat: GROUP,
          extra: { from: { id: 700 + index, is_bot: false, first_name } },
        });
    await nothingHappened();
    expect(rig.texts().filter((text) => text.includes('What I understand'))).toHaveLength(1);
  });
});
