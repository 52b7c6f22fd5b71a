import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeTelegram } from './telegram.ts';
import { parseHtml, parseMarkdownV2, tappable } from './telegram-entities.ts';

let api: FakeTelegram;
beforeEach(async () => {
  api = await FakeTelegram.start({ chats: [1001, -5], limit: { count: 3, windowMs: 60_000 } });
});
afterEach(() => api.close());

interface Reply {
  readonly ok: boolean;
  readonly result?: never;
  readonly error_code?: number;
  readonly description?: string;
  readonly parameters?: Readonly<Record<string, number>>;
}

async function call(method: string, params: object = {}, token = api.token): Promise<Reply> {
  const response = await fetch(`${api.url}/bot${token}/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(params),
  });
  return (await response.json()) as Reply;
}

const send = (text: string, more: object = {}) => call('sendMessage', { chat_id: 1001, text, ...more });
const keyboard = (callback_data: string) => ({ reply_markup: { inline_keyboard: [[{ text: 'x', callback_data }]] } });

describe('the fake Bot API', () => {
  it('knows its token and its methods', async () => {
    expect(await call('getMe', {}, '1:wrong')).toEqual({ ok: false, error_code: 401, description: 'Unauthorized' });
    expect(await call('getMe')).toMatchObject({ ok: true, result: { username: 'selfheal_bot' } });
    expect(await call('frobnicate')).toMatchObject({ error_code: 404 });
  });

  it('refuses what the real one refuses, in its words', async () => {
    const cases: readonly (readonly [string, object, string])[] = [
      ['sendMessage', { chat_id: 1001, text: '  ' }, 'Bad Request: message text is empty'],
      ['sendMessage', { chat_id: 1001, text: 'x'.repeat(4097) }, 'Bad Request: message is too long'],
      ['sendMessage', { chat_id: 7, text: 'x' }, 'Bad Request: chat not found'],
      ['sendMessage', { text: 'x' }, 'Bad Request: chat_id is empty'],
      ['sendMessage', { chat_id: 1001, text: 'x', parse_mode: 'BBCode' }, 'Bad Request: unsupported parse_mode'],
      ['sendMessage', { chat_id: 1001, text: 'x', ...keyboard('y'.repeat(65)) }, 'Bad Request: BUTTON_DATA_INVALID'],
      [
        'sendMessage',
        { chat_id: 1001, text: 'x', reply_parameters: { message_id: 9 } },
        'Bad Request: message to be replied not found',
      ],
      ['editMessageText', { chat_id: 1001, message_id: 9, text: 'x' }, 'Bad Request: message to edit not found'],
      [
        'answerCallbackQuery',
        { callback_query_id: '1' },
        'Bad Request: query is too old and response timeout expired or query ID is invalid',
      ],
      ['sendDocument', { chat_id: 1001, document: 'x' }, 'Bad Request: there is no document in the request'],
    ];
    for (const [method, params, description] of cases)
      expect(await call(method, params)).toEqual({ ok: false, error_code: 400, description });
  });

  it('calls an edit too long in other words than a message', async () => {
    await send('one');
    const message_id = api.sent()[0]?.messageId;
    expect(await call('editMessageText', { chat_id: 1001, message_id, text: 'x'.repeat(4097) })).toMatchObject({
      description: 'Bad Request: MESSAGE_TOO_LONG',
    });
  });

  it('counts the length after parsing', async () => {
    expect(await send(`<b>${'&amp;'.repeat(4096)}</b>`, { parse_mode: 'HTML' })).toMatchObject({ ok: true });
  });

  it('edits, and says so when nothing changed', async () => {
    await send('one', keyboard('a'));
    const id = api.sent()[0]?.messageId;
    expect(await call('editMessageText', { chat_id: 1001, message_id: id, text: 'two' })).toMatchObject({ ok: true });
    expect(api.sent()[0]).toMatchObject({ text: 'two', past: ['one'], buttons: [] });
    expect(await call('editMessageText', { chat_id: 1001, message_id: id, text: 'two' })).toMatchObject({
      description: expect.stringContaining('message is not modified'),
    });
    const theirs = api.say('mine');
    expect(await call('editMessageText', { chat_id: 1001, message_id: theirs, text: 'x' })).toMatchObject({
      description: "Bad Request: message can't be edited",
    });
  });

  it('slows a flood down', async () => {
    for (let i = 0; i < 3; i++) await send(`m${i}`);
    expect(await send('one too many')).toMatchObject({
      error_code: 429,
      description: expect.stringMatching(/^Too Many Requests: retry after \d+$/),
      parameters: { retry_after: expect.any(Number) },
    });
  });

  it('gives updates until they are confirmed, and waits for new ones', async () => {
    api.say('one');
    const first = (await call('getUpdates', { timeout: 0 })) as unknown as { result: { update_id: number }[] };
    const again = (await call('getUpdates', { timeout: 0 })) as unknown as typeof first;
    expect(again.result).toEqual(first.result);
    const waiting = call('getUpdates', { timeout: 10, offset: (first.result[0]?.update_id ?? 0) + 1 });
    await api.until(() => api.callsOf('getUpdates').length === 3);
    api.say('two');
    expect(await waiting).toMatchObject({ result: [{ message: { text: 'two' } }] });
  });

  it('ends the first poll when a second comes', async () => {
    const first = call('getUpdates', { timeout: 10 });
    await api.until(() => api.callsOf('getUpdates').length === 1);
    const second = call('getUpdates', { timeout: 0 });
    expect(await first).toMatchObject({
      error_code: 409,
      description: 'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
    });
    expect(await second).toMatchObject({ ok: true });
  });

  it('delivers only the kinds of updates that were asked for', async () => {
    await call('getUpdates', { timeout: 0, allowed_updates: ['callback_query'] });
    api.say('x');
    expect(await call('getUpdates', { timeout: 0 })).toEqual({ ok: true, result: [] });
  });

  it('takes files as multipart', async () => {
    const form = new FormData();
    form.set('chat_id', '1001');
    form.set('document', new File(['héllo\r\nthere'], 'a.txt'));
    await fetch(`${api.url}/bot${api.token}/sendDocument`, { method: 'POST', body: form });
    expect(api.sent()[0]?.document).toEqual({ name: 'a.txt', content: 'héllo\r\nthere' });
  });

  it('keeps everything over a time in which nobody can reach it', async () => {
    await send('one');
    const { url } = api;
    await api.down();
    await expect(fetch(url)).rejects.toThrow();
    await api.up();
    expect(api.url).toBe(url);
    await send('two');
    expect(api.sent().map((m) => m.text)).toEqual(['one', 'two']);
  });
});

describe('entities', () => {
  it.each([
    ['<b>a</b>', 'a'],
    ['a &lt;b&gt; &amp; &quot; &#65; &#x42; &nbsp; & x', 'a <b> & " A B &nbsp; & x'],
    ['<a href="https://x.y/?a=1&amp;b=2">l</a>', 'l'],
    ['<span class="tg-spoiler">s</span><code>1</code><pre>2</pre>', 's12'],
  ])('reads %s', (source, text) => {
    expect(parseHtml(source).text).toBe(text);
  });

  it.each([
    ['<b>', 'Can\'t find end tag corresponding to start tag "b"'],
    ['é<x>', 'Unsupported start tag "x" at byte offset 2'],
    ['<b', 'Unclosed start tag at byte offset 0'],
    ['</b>', 'Unexpected end tag at byte offset 0'],
    ['<b>x</i>', 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'],
    ['<span>x</span>', 'Tag "span" must have class "tg-spoiler" at byte offset 0'],
    ['<a href>x</a>', 'Expected equal sign in declaration of an attribute of the tag "a" at byte offset 0'],
  ])('refuses %s', (source, message) => {
    expect(() => parseHtml(source)).toThrow(`can't parse entities: ${message}`);
  });

  it('reads MarkdownV2, and refuses what is not escaped', () => {
    expect(parseMarkdownV2('*a* _b_ `c` \\.').text).toBe('a b c .');
    expect(() => parseMarkdownV2('1.5')).toThrow("Character '.' is reserved");
    expect(() => parseMarkdownV2('*a')).toThrow("Can't find end of Bold entity at byte offset 0");
  });

  it('sees what a client would make tappable', () => {
    const types = (text: string) => tappable(parseHtml(text)).map((e) => e.type);
    expect(types('/pause @admin #tag evil.example https://e.x a@b.co')).toEqual(
      expect.arrayContaining(['bot_command', 'mention', 'hashtag', 'url', 'email']),
    );
    expect(types('<code>/pause</code> <pre>@admin</pre> plain')).toEqual([]);
  });
});
