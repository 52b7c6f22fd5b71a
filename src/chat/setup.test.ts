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
      problem: expect.stringMatching(/Another program/),
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
