// The contract suite: every notifier is put through the same deliveries, failures and hostile texts.

import { createHmac } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../config/secret.ts';
import type { Notification } from '../core/notification.ts';
import { systemClock } from '../host/clock.ts';
import { FakeTelegram } from '../testing/telegram.ts';
import { parseHtml, tappable } from '../testing/telegram-entities.ts';
import type { Delivery, Notifier } from './contract.ts';
import type { TelegramMemory } from './telegram.ts';
import { createConsoleNotifier, createTelegramNotifier, createWebhookNotifier, notifierNames } from './index.ts';
import { splitText, telegramText } from './shared/telegram-html.ts';

const SECRET = 'AAHsecretsecretsecretsecretsecretsec';
const signal = new AbortController().signal;

function note(changes: Partial<Notification> = {}): Notification {
  return {
    id: 'incident:1:1#1',
    key: 'incident:1:1',
    incident: '1',
    urgency: 'now',
    severity: 'high',
    reason: 'high: at once',
    title: '⚠️ #1 agent · import_error',
    body: 'Looking for a fix.',
    buttons: [],
    plan: null,
    at: Date.UTC(2026, 0, 5),
    ...changes,
  };
}

/** One HTTP server whose next answers are scripted; it remembers what it was sent. */
class Receiver {
  readonly requests: { readonly headers: IncomingHttpHeaders; readonly body: string }[] = [];
  answer: { status: number; headers?: Record<string, string>; hang?: boolean; cut?: boolean } = { status: 200 };
  #server: Server | null = null;
  #port = 0;

  async start(): Promise<void> {
    this.#server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      this.requests.push({ headers: request.headers, body });
      if (this.answer.hang) return;
      if (this.answer.cut) return void request.socket.destroy();
      response.writeHead(this.answer.status, this.answer.headers).end('{}');
    });
    await new Promise<void>((resolve) => this.#server?.listen(0, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }
  get url(): string {
    return `http://127.0.0.1:${this.#port}/hook/${SECRET}`;
  }
  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise<void>((resolve) => (this.#server ? this.#server.close(() => resolve()) : resolve()));
  }
}

let receiver: Receiver;
let api: FakeTelegram;
beforeEach(async () => {
  receiver = new Receiver();
  await receiver.start();
  api = await FakeTelegram.start({ token: `123456:${SECRET}`, limit: { count: 1000, windowMs: 1000 } });
});
afterEach(async () => {
  await receiver.stop();
  await api.close();
});

interface Case {
  readonly name: string;
  readonly make: () => Notifier;
  /** Makes the other side answer so, from now on. */
  readonly answers: (status: number, retryAfterS?: number) => void;
  readonly goes: (way: 'silent' | 'cut' | 'down') => Promise<void> | void;
}

const CASES: readonly Case[] = [
  {
    name: 'telegram',
    make: () =>
      createTelegramNotifier({ token: new Secret(api.token), allowedUsers: [1001], chat: 1001, apiRoot: api.url }),
    answers: (status, retryAfter) => {
      api.fault = () => ({ kind: 'status', status, ...(retryAfter !== undefined && { retryAfter }) });
    },
    goes: async (way) => {
      if (way === 'down') return api.down();
      api.fault = () => (way === 'silent' ? { kind: 'hang' } : { kind: 'cut', when: 'before' });
    },
  },
  {
    name: 'webhook',
    make: () => createWebhookNotifier({ url: receiver.url, secret: new Secret(SECRET) }, systemClock),
    answers: (status, retryAfter) => {
      receiver.answer = { status, ...(retryAfter !== undefined && { headers: { 'retry-after': String(retryAfter) } }) };
    },
    goes: (way) => {
      if (way === 'down') return receiver.stop();
      receiver.answer = way === 'silent' ? { status: 200, hang: true } : { status: 200, cut: true };
    },
  },
];

const RETRIED = [429, 500, 502, 503, 504];

describe('the catalogue', () => {
  it('lists every file of the folder', () => {
    const files = readdirSync(import.meta.dirname)
      .filter((file) => /^[a-z-]+\.ts$/.test(file) && !['index.ts', 'contract.ts'].includes(file))
      .map((file) => file.replace('.ts', ''));
    expect(files.sort()).toEqual([...notifierNames].sort());
  });
});

describe.each(CASES)('$name', ({ name, make, answers, goes }) => {
  const send = (changes: Partial<Notification> = {}, stop: AbortSignal = signal): Promise<Delivery> =>
    make().send(note(changes), { replaces: null, signal: stop });

  it('delivers', async () => {
    expect(make().name).toBe(name);
    expect(await send()).toMatchObject({ kind: 'sent' });
  });

  it.each(RETRIED)('tries %i again', async (status) => {
    answers(status);
    expect(await send()).toMatchObject({ kind: 'retry' });
  });

  it('waits as long as it is asked to', async () => {
    answers(429, 35);
    expect(await send()).toMatchObject({ kind: 'retry', afterMs: 35_000 });
  });

  it('gives up what is refused for good', async () => {
    answers(400);
    expect(await send()).toMatchObject({ kind: 'rejected' });
  });

  it('knows a message that cannot have arrived from one that may have', async () => {
    await goes('cut');
    expect(await send()).toMatchObject({ kind: 'retry', doubtful: true });
    await goes('down');
    expect(await send()).toMatchObject({ kind: 'retry', doubtful: false });
  });

  it('stops waiting when told to', async () => {
    await goes('silent');
    const stop = new AbortController();
    const sending = send({}, stop.signal);
    setTimeout(() => stop.abort(), 50);
    expect(await sending).toMatchObject({ kind: 'retry', doubtful: true });
  });

  it('never throws for the other side and never tells a secret', async () => {
    const told: unknown[] = [];
    for (const status of [301, 302, 400, 401, 403, 404, 410, 418, 429, 500, 599]) {
      answers(status);
      told.push(await send());
    }
    for (const way of ['cut', 'down'] as const) {
      await goes(way);
      told.push(await send());
    }
    expect(JSON.stringify(told)).not.toContain(SECRET);
    expect(JSON.stringify(told)).not.toMatch(/127\.0\.0\.1|http:/);
  });

  it('says no secret for an address that is none', async () => {
    for (const root of [`ht!tp://x/${SECRET}`, `http://user:${SECRET}@127.0.0.1:1`, `ftp://127.0.0.1/${SECRET}`]) {
      const broken =
        name === 'telegram'
          ? createTelegramNotifier({ token: new Secret(api.token), allowedUsers: [], chat: 1, apiRoot: root })
          : createWebhookNotifier({ url: root, secret: null }, systemClock);
      const told = await broken.send(note(), { replaces: null, signal });
      expect(JSON.stringify(told)).not.toContain(SECRET);
    }
  });
});

describe('telegram', () => {
  const make = () =>
    createTelegramNotifier({ token: new Secret(api.token), allowedUsers: [1001], chat: 1001, apiRoot: `${api.url}/` });
  const send = (changes: Partial<Notification> = {}, replaces: string | null = null) =>
    make().send(note(changes), { replaces, signal });

  it('edits in place, and takes "not modified" for delivered', async () => {
    const sent = await send();
    const id = sent.kind === 'sent' ? sent.externalId : null;
    expect(await send({ body: 'Healing.' }, id)).toEqual({ kind: 'sent', externalId: id });
    expect(await send({ body: 'Healing.' }, id)).toEqual({ kind: 'sent', externalId: id });
    expect(api.sent().map((m) => m.text)).toEqual(['⚠️ #1 agent · import_error\nHealing.']);
  });

  it('sends news anew when the message to edit was deleted, and drops what only edits', async () => {
    expect(await send({ manner: 'progress' }, '4711')).toMatchObject({ kind: 'rejected' });
    expect(await send({ manner: 'news' }, '4711')).toMatchObject({ kind: 'sent' });
    expect(api.sent()).toHaveLength(1);
  });

  it('loses nothing to a portal or a proxy that answers instead', async () => {
    for (const fault of [
      { kind: 'redirect', to: 'https://portal.example/login' } as const,
      ...[200, 400, 403, 407, 418, 451, 502].map((status) => ({ kind: 'html', status }) as const),
    ]) {
      api.fault = () => fault;
      expect(await send()).toMatchObject({ kind: 'retry', error: expect.stringMatching(/no (?:Bot API )?answer/) });
    }
  });

  it('sends without a sound what is meant to be silent', async () => {
    await send({ silent: true });
    expect(api.sent()[0]?.silent).toBe(true);
  });

  it('keeps messages while the owner has blocked it, the token is wrong, or the group has moved', async () => {
    api.blocked.add(1001);
    expect(await send()).toMatchObject({ kind: 'retry', afterMs: 300_000, error: expect.stringContaining('403') });
    api.blocked.clear();
    api.migrated.set(1001, -100_123);
    expect(await send()).toMatchObject({ kind: 'retry', error: expect.stringContaining('-100123') });
    api.migrated.clear();
    api.fault = () => ({ kind: 'status', status: 401 });
    expect(await send()).toMatchObject({ kind: 'retry', afterMs: 300_000 });
  });

  it('lets what is critical be heard when the search for it has found another message of ours in its place', async () => {
    const memory = { answers: async () => [], newest: async () => 1000 } as unknown as TelegramMemory;
    const access = { token: new Secret(api.token), allowedUsers: [1001], chat: 1001, apiRoot: api.url };
    const notifier = createTelegramNotifier(access, memory);
    const critical = note({ severity: 'critical', title: '🚨 #1 agent · disk_full' });
    const look = (notification: Notification) =>
      notifier.send(notification, { replaces: null, signal, doubtful: { after: '1000' } });
    // An answer that a crash kept from being noted stands where the search begins.
    const other = await notifier.send(note({ title: 'Health Check Results' }), { replaces: null, signal });
    let deletions = 0;
    api.fault = (call) =>
      call.method === 'deleteMessage' && deletions++ === 0 ? { kind: 'status', status: 502 } : undefined;
    expect(await look(critical)).toMatchObject({ kind: 'retry', doubtful: true });
    const told = await look(critical);
    expect(other).not.toEqual(told);
    expect(api.sent().map((m) => m.text.split('\n')[0])).toEqual(['🚨 #1 agent · disk_full']);
    expect(api.callsOf('sendMessage')).toHaveLength(2);
    // Once it was heard it is found, and not said again.
    expect(await look(critical)).toEqual(told);
    expect(api.callsOf('sendMessage')).toHaveLength(2);
  });

  it('finds a message that had arrived although its answer was lost', async () => {
    const first = await send();
    const after = first.kind === 'sent' ? first.externalId : null;
    api.say('a person writes in between');
    api.fault = () => ({ kind: 'cut', when: 'after' });
    expect(await send({ id: 'b', body: 'two' })).toMatchObject({ kind: 'retry', doubtful: true });
    api.fault = () => undefined;
    const again = await make().send(note({ id: 'b', body: 'two' }), { replaces: null, signal, doubtful: { after } });
    expect(again).toEqual({ kind: 'sent', externalId: String(api.sent()[1]?.messageId) });
    expect(api.sent()).toHaveLength(2);
  });

  it('sends again what had not arrived', async () => {
    const first = await send();
    const after = first.kind === 'sent' ? first.externalId : null;
    const again = await make().send(note({ id: 'b', body: 'two' }), { replaces: null, signal, doubtful: { after } });
    expect(again.kind).toBe('sent');
    expect(api.sent().map((m) => m.text.split('\n')[1])).toEqual(['Looking for a fix.', 'two']);
  });

  it('cuts to the limit the server counts, and never through an entity or a character', async () => {
    for (const body of ['&<>"'.repeat(3000), '💥'.repeat(4000), 'a.b '.repeat(3000)])
      expect(await send({ body, excerpt: body })).toMatchObject({ kind: 'sent' });
  });
});

describe('formatting for Telegram', () => {
  const anything = fc.string({ unit: 'binary', maxLength: 6000 });

  it('is always accepted, never tappable, and within the limit', () => {
    fc.assert(
      fc.property(anything, anything, fc.option(anything), (title, body, excerpt) => {
        const { html, plain } = telegramText({ title, body, ...(excerpt !== null && { excerpt }) });
        const parsed = parseHtml(html);
        expect(tappable(parsed)).toEqual([]);
        expect(parsed.text.length).toBeLessThanOrEqual(4096);
        expect(plain.length).toBeLessThanOrEqual(4096);
      }),
      { numRuns: 300 },
    );
  });

  it('shows every word of an attack as a word', () => {
    const words = fc.constantFrom(
      '/pause',
      '@admin',
      '#tag',
      '$BTC',
      'evil.example',
      'https://e.x/?a=b',
      'a@b.co',
      '<b>',
      '&amp;',
      'x',
      '(',
      '"',
      ')',
      ',',
      'tg://x',
      'www.x.y',
      '1.2.3',
      '.env',
      '#тест',
      'яндекс.рф',
      '10.0.0.1:80',
      '4242',
      'é@name',
      'ß/stop',
      '٣',
      '-',
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 30 }), fc.constantFrom(' ', '', '|', ','), (parts, glue) => {
        const body = parts.join(glue);
        const { html, plain } = telegramText({ body, excerpt: body });
        const parsed = parseHtml(html);
        expect(tappable(parsed)).toEqual([]);
        expect(parsed.text).toBe([body.trim(), body.trim()].filter(Boolean).join('\n'));
        expect(tappable({ text: plain, entities: [] })).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('splits at line ends and loses nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 80 }), { maxLength: 60 }), (lines) => {
        const text = lines.join('\n');
        const { pieces, rest } = splitText(text, 1000, 200);
        expect(rest).toBe(false);
        expect(pieces.every((piece) => piece.length <= 200)).toBe(true);
        expect(pieces.join('').replace(/\n/g, '').length).toBeGreaterThanOrEqual(text.trim().replace(/\n/g, '').length);
      }),
    );
  });
});

describe('webhook', () => {
  it('signs id, time and body, so that a receiver can check all three', async () => {
    const notifier = createWebhookNotifier({ url: receiver.url, secret: new Secret(SECRET) }, systemClock);
    await notifier.send(note(), { replaces: null, signal });
    const [request] = receiver.requests;
    const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = request?.headers ?? {};
    const expected = createHmac('sha256', SECRET).update(`${id}.${time}.${request?.body}`).digest('base64');
    expect(signature).toBe(`v1,${expected}`);
    expect(Math.abs(Number(time) * 1000 - Date.now())).toBeLessThan(10_000);
    expect(JSON.parse(request?.body ?? '')).toMatchObject({
      type: 'selfheal.notification',
      id: 'incident:1:1#1',
      incident: '1',
      title: '⚠️ #1 agent · import_error',
    });
  });

  it('reads a Standard Webhooks secret as base64', async () => {
    const raw = Buffer.from('a key of some bytes');
    const secret = new Secret(`whsec_${raw.toString('base64')}`);
    await createWebhookNotifier({ url: receiver.url, secret }, systemClock).send(note(), { replaces: null, signal });
    const { headers, body } = receiver.requests[0] as (typeof receiver.requests)[number];
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', raw).update(signed).digest('base64')}`);
  });

  it('does not follow redirects', async () => {
    receiver.answer = { status: 302, headers: { location: receiver.url } };
    const notifier = createWebhookNotifier({ url: receiver.url, secret: null }, systemClock);
    expect(await notifier.send(note(), { replaces: null, signal })).toMatchObject({ kind: 'rejected' });
    expect(receiver.requests).toHaveLength(1);
  });

  it('reads Retry-After as a date too, and waits an hour at most', async () => {
    const notifier = createWebhookNotifier({ url: receiver.url, secret: null }, systemClock);
    receiver.answer = { status: 503, headers: { 'retry-after': new Date(Date.now() + 90_000).toUTCString() } };
    const told = await notifier.send(note(), { replaces: null, signal });
    expect(told.kind === 'retry' ? told.afterMs : 0).toBeGreaterThan(80_000);
    receiver.answer = { status: 503, headers: { 'retry-after': '999999999' } };
    expect(await notifier.send(note(), { replaces: null, signal })).toMatchObject({ afterMs: 3_600_000 });
  });
});

describe('console', () => {
  it('writes lines that steer no terminal', async () => {
    let out = '';
    const notifier = createConsoleNotifier({ write: (text) => (out += text) });
    const sent = await notifier.send(note({ excerpt: '\u001b[2J\u202eevil\r\nx', body: 'one\ntwo' }), {
      replaces: null,
      signal,
    });
    expect(sent.kind).toBe('sent');
    expect(out.split('\n')).toEqual([
      '[00:00:00] selfheal: ⚠️ #1 agent · import_error',
      '           selfheal: one',
      '           selfheal: two',
      '           selfheal: > <U+202E>evil',
      '           selfheal: > x',
      '',
    ]);
  });

  it('survives a closed pipe', async () => {
    const notifier = createConsoleNotifier({
      write: () => {
        throw new Error('EPIPE');
      },
    });
    expect((await notifier.send(note(), { replaces: null, signal })).kind).toBe('rejected');
  });
});
