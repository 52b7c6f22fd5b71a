import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../config/secret.ts';
import { systemClock } from '../host/clock.ts';
import { FakeTelegram } from '../testing/telegram.ts';
import { checkToken, newCode, sendTestCard, startLink, waitForOwner } from './setup.ts';

let api: FakeTelegram;
const signal = new AbortController().signal;

beforeEach(async () => {
  api = await FakeTelegram.start({ chats: [1001, -500] });
});
afterEach(() => api.close());

const access = () => ({ token: new Secret(api.token), apiRoot: api.url });

describe('setting up Telegram', () => {
  it('accepts a token as it was pasted, and names the bot', async () => {
    const found = await checkToken(`  ${api.token}\n`, { apiRoot: api.url, signal });
    expect(found).toMatchObject({ ok: true, value: { name: 'selfheal_bot' } });
    expect(JSON.stringify(found)).not.toContain(api.token);
  });

  it('says what is wrong with a token without repeating it', async () => {
    for (const [text, says] of [
      ['hello', /not a bot token/],
      ['123456:AAwrongwrongwrongwrongwrongwrongwrong', /does not know this token/],
    ] as const) {
      const found = await checkToken(text, { apiRoot: api.url, signal });
      expect(found).toMatchObject({ ok: false, problem: expect.stringMatching(says) });
      expect(JSON.stringify(found)).not.toContain('AAwrong');
    }
    api.webhook = 'https://example.org/hook';
    expect(await checkToken(api.token, { apiRoot: api.url, signal })).toMatchObject({
      ok: false,
      problem: expect.stringMatching(/another program/),
    });
  });

  it('tells a missing network from a wrong token', async () => {
    await api.down();
    const found = await checkToken(api.token, { apiRoot: api.url, signal });
    expect(found).toMatchObject({ ok: false, problem: expect.stringMatching(/cannot be reached.*ECONNREFUSED/) });
  });

  it('finds the owner by the code, and nobody else', async () => {
    const code = newCode();
    expect(code).toMatch(/^\d{6}$/);
    expect(startLink('selfheal_bot', code)).toBe(`https://t.me/selfheal_bot?start=${code}`);
    api.say('/start', { user: 666 });
    api.say(`/start ${code}0`, { user: 667 });
    const found = waitForOwner(access(), { code, clock: systemClock, signal });
    await api.until(() => api.callsOf('getUpdates').length > 1);
    api.say(`/start ${code}`, { user: 1001 });
    expect(await found).toEqual({ ok: true, value: { user: 1001, chat: 1001, name: 'user1001' } });
  });

  it('finds a group as well', async () => {
    api.say('123456', { user: 1001, chat: -500 });
    const found = await waitForOwner(access(), { code: '123456', clock: systemClock, signal });
    expect(found).toMatchObject({ ok: true, value: { user: 1001, chat: -500 } });
  });

  it.each([
    '/start@selfheal_bot 123456',
    '/start 123456@selfheal_bot',
    '/123456@selfheal_bot',
    '/start_123456',
    '@selfheal_bot 123456',
    '123 456',
    ' 123456. ',
  ])('knows the code in "%s", as a group with privacy mode needs it', async (text) => {
    api.say(text, { user: 1001, chat: -500 });
    const found = await waitForOwner(access(), { code: '123456', clock: systemClock, signal });
    expect(found).toMatchObject({ ok: true, value: { user: 1001, chat: -500 } });
  });

  it('says how the code is sent in a group that the bot was just put into', async () => {
    const said: string[] = [];
    const me = { user: { id: 4242, is_bot: true, first_name: 'selfheal', username: 'selfheal_bot' }, status: 'member' };
    const chat = { id: -500, type: 'supergroup', title: 'Ops\u202e\n[x](http://evil.example)' };
    api.push({
      my_chat_member: { chat, from: { id: 1001, is_bot: false, first_name: 'o' }, date: 1, new_chat_member: me },
    });
    const found = waitForOwner(access(), { code: '123456', clock: systemClock, signal, heard: (s) => said.push(s) });
    await api.until(() => api.callsOf('getUpdates').length > 1);
    expect(said).toEqual([expect.stringContaining('Send "/start@selfheal_bot 123456" there')]);
    expect(said[0]).not.toMatch(/[\n\u202e]/);
    api.say('/start@selfheal_bot 123456', { user: 1001, chat: -500 });
    expect(await found).toMatchObject({ ok: true, value: { chat: -500 } });
    await sendTestCard({ ...access(), chat: -500 }, { node: 'box', signal });
    expect(api.sent(-500)[0]?.text).toContain('In this group I see what begins with a slash: send /help');
  });

  it('mentions who else writes first, once each and not a crowd, and answers none of them', async () => {
    const said: string[] = [];
    for (let user = 2001; user < 2010; user++) {
      api.say('hello\u001b[2J', { user });
      api.say('/start 654321 123456', { user });
    }
    api.say('/start 999999', { user: 2001 });
    api.say('see 123456', { user: 2002, extra: { from: { id: 2002, is_bot: true, first_name: 'b' } } });
    api.say('123456', { user: 1001 });
    const found = await waitForOwner(access(), {
      code: '123456',
      clock: systemClock,
      signal,
      heard: (s) => said.push(s),
    });
    expect(found).toMatchObject({ ok: true, value: { user: 1001 } });
    expect(said).toEqual(
      [2001, 2002, 2003].map((id) => expect.stringContaining(`(user ${id}) wrote to the bot, but not the code`)),
    );
    expect(api.sent()).toEqual([]);
  });

  it('lets nobody in who tries one code after the other', async () => {
    for (let code = 100_000; code < 100_030; code++) api.say(`/start ${code}`, { user: 666 });
    const found = await waitForOwner(access(), { code: '100025', clock: systemClock, signal });
    expect(found).toMatchObject({ ok: false, problem: expect.stringMatching(/wrong code.*nobody was let in/) });
  });

  it('bears a conflict at the first call, and names the other program when it goes on', async () => {
    const said: string[] = [];
    const clock = { ...systemClock, sleep: () => Promise.resolve() };
    const conflict = {
      kind: 'status',
      status: 409,
      description: 'Conflict: terminated by other getUpdates request',
    } as const;
    let conflicts = 1;
    api.fault = (call) => (call.method === 'getUpdates' && conflicts-- > 0 ? conflict : undefined);
    api.say('123456', { user: 1001 });
    const waiting = { code: '123456', clock, signal, heard: (s: string) => said.push(s) };
    expect(await waitForOwner(access(), waiting)).toMatchObject({ ok: true, value: { user: 1001 } });
    expect(said).toEqual(['Another program asked for the messages of this bot; trying again.']);
    conflicts = Infinity;
    expect(await waitForOwner(access(), waiting)).toMatchObject({
      ok: false,
      problem: 'Another program polls with this token: stop it (a running selfheal?) and try again.',
    });
  });

  it('keeps the owner that it has found when the network fails just after', async () => {
    let failed = 0;
    api.fault = (call) =>
      call.method === 'getUpdates' && Number(call.params.timeout) === 0 && failed++ < 2
        ? { kind: 'status', status: 502 }
        : undefined;
    api.say('123456', { user: 1001 });
    const clock = { ...systemClock, sleep: () => Promise.resolve() };
    // Whoever polled on would wait for a code that does not come again.
    const found = waitForOwner(access(), { code: '123456', clock, signal: AbortSignal.timeout(10_000) });
    expect(await found).toMatchObject({ ok: true, value: { user: 1001 } });
    expect(failed).toBe(3);
  });

  it('gives up when told to, and when another program polls', async () => {
    const stop = new AbortController();
    const waiting = waitForOwner(access(), { code: '1', clock: systemClock, signal: stop.signal });
    await api.until(() => api.callsOf('getUpdates').length > 0);
    stop.abort();
    expect(await waiting).toMatchObject({ ok: false });
    api.webhook = 'x';
    expect(await waitForOwner(access(), { code: '1', clock: systemClock, signal })).toMatchObject({
      ok: false,
      problem: expect.stringMatching(/another program \(it has a webhook\)/),
    });
  });

  it('sends a test card, or says why not', async () => {
    expect(await sendTestCard({ ...access(), chat: 1001 }, { node: 'box', signal })).toEqual({ ok: true, value: null });
    expect(api.sent()[0]?.text).toContain('selfheal on box');
    api.blocked.add(1001);
    expect(await sendTestCard({ ...access(), chat: 1001 }, { node: 'box', signal })).toMatchObject({
      ok: false,
      problem: expect.stringMatching(/press Start/),
    });
  });
});
