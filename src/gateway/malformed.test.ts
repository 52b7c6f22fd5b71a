// Bytes that are nearly right, from agents and from providers: whatever comes, the gateway goes on serving, nothing of it
// is a bug of ours, and no broken stream ends like a whole one. FUZZ=100000 runs as many of each as wanted.

import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../host/clock.ts';
import { type GatewayRig, openGatewayRig } from '../testing/gateway-rig.ts';
import { answerFrames, answerWhole, errorBody, errorFrame, type FakeDialect } from '../testing/model-shapes.ts';
import { nearly } from '../testing/mutations.ts';
import { openRawServer } from '../testing/raw-server.ts';
import { dialects } from './dialects/index.ts';
import { BodyReader, framingOf } from './http/body.ts';
import { parseHead } from './http/head.ts';
import { framesOf } from './sse.ts';

const RUNS = Number(process.env.FUZZ ?? 300);
if (process.env.FUZZ !== undefined) vi.setConfig({ testTimeout: 4 * 3_600_000 });

const NAMES: readonly FakeDialect[] = ['messages', 'chat', 'responses'];
const closing: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function closeWith(rig: GatewayRig): void {
  closing.push(async () => {
    await rig.close();
    expect(rig.problems).toEqual([]);
  });
}

const chunked = (text: string): string => `${Buffer.byteLength(text, 'latin1').toString(16)}\r\n${text}\r\n`;

function requestOf(dialect: FakeDialect, stream: boolean): string {
  const turn = [{ role: 'user', content: 'How is "the" weather?' }];
  const tools = [{ name: 'get_weather', description: 'x', input_schema: { type: 'object', properties: {} } }];
  return JSON.stringify({
    ...{ model: 'm', max_tokens: 9, stream },
    ...(dialect === 'responses' ? { input: turn } : { messages: turn }),
    ...(dialect === 'messages' && { tools }),
  });
}

describe('an agent that sends what is nearly a request', () => {
  const paths = { messages: '/v1/messages', chat: '/v1/chat/completions', responses: '/v1/responses' };
  const fields =
    'host: localhost\r\ncontent-type: application/json\r\nanthropic-version: 2023-06-01\r\nx-api-key: k\r\n';
  const right = [
    `GET /-/status HTTP/1.1\r\n${fields}\r\n`,
    `GET /v1/models HTTP/1.1\r\n${fields}connection: keep-alive\r\n\r\n`,
    ...NAMES.flatMap((dialect) =>
      [true, false].flatMap((stream) => {
        const body = requestOf(dialect, stream);
        const head = `POST ${paths[dialect]} HTTP/1.1\r\n${fields}`;
        return [
          `${head}content-length: ${body.length}\r\n\r\n${body}`,
          `${head}transfer-encoding: chunked\r\n\r\n${chunked(body.slice(0, 30))}${chunked(body.slice(30))}0\r\nx: y\r\n\r\n`,
        ];
      }),
    ),
  ];
  const bytes = nearly([...right, right.slice(0, 4).join('')]);

  it('is answered, refused or hung up on, and the next one is served', async () => {
    const rig = await openGatewayRig({ primary: { dialects: NAMES }, local: null });
    closeWith(rig);
    const port = Number(new URL(rig.url).port);
    await fc.assert(
      fc.asyncProperty(bytes, fc.nat(400), async (sent, cut) => {
        rig.primary.calls.length = 0;
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => {}).resume();
        const closed = once(socket, 'close');
        socket.write(sent.subarray(0, cut));
        socket.write(sent.subarray(cut));
        expect(await (await fetch(`${rig.url}/-/health`)).json()).toEqual({ ok: true });
        socket.end();
        await closed;
      }),
      { numRuns: 3 * RUNS },
    );
  });
});

describe('a provider that answers what is nearly an answer', () => {
  const SAYING = {
    text: ['Let me', ' look: "ö"'],
    tools: [{ id: 't1', name: 'get_weather', input: ['{"city":', '"Paris"}'] }],
  };
  const FIELDS =
    'date: x\r\nanthropic-ratelimit-tokens-remaining: 12\r\nx-ratelimit-reset-requests: 1m2.5s\r\nretry-after: 3\r\n';

  function rightAnswers(dialect: FakeDialect): string[] {
    const frames = answerFrames(dialect, SAYING, 'm').map((frame) => Buffer.from(frame).toString('latin1'));
    const whole = Buffer.from(JSON.stringify(answerWhole(dialect, SAYING, 'm'))).toString('latin1');
    const error = JSON.stringify(errorBody(dialect, 'rate_limit_error', 'Please try again in 1.5s'));
    const stream = `HTTP/1.1 200 OK\r\n${FIELDS}content-type: text/event-stream\r\n`;
    const json = `content-type: application/json\r\n`;
    return [
      `${stream}transfer-encoding: chunked\r\n\r\n${frames.map(chunked).join('')}0\r\n\r\n`,
      `${stream}\r\n${frames.join('')}`,
      `${stream}\r\n${frames.slice(0, 5).join('')}${errorFrame(dialect, 'overloaded_error')}`,
      `HTTP/1.1 200 OK\r\n${FIELDS}${json}content-length: ${whole.length}\r\n\r\n${whole}`,
      `HTTP/1.1 429 Too Many Requests\r\n${FIELDS}${json}content-length: ${error.length}\r\n\r\n${error}`,
    ];
  }

  it.each(NAMES.flatMap((asked) => NAMES.map((spoken) => [asked, spoken] as const)))(
    'in the middle of a conversation: asked in %s, spoken to in %s, the gateway ends it honestly and serves the next one',
    async (asked, spoken) => {
      let answer: Buffer = Buffer.alloc(0);
      let [cut, now] = [0, Date.now()];
      const upstream = await openRawServer((socket) =>
        socket.once('data', () => {
          socket.write(answer.subarray(0, cut));
          setImmediate(() => socket.end(answer.subarray(cut)));
        }),
      );
      closing.push(() => upstream.close());
      const kind = spoken === 'messages' ? 'anthropic' : 'openai';
      const rig = await openGatewayRig({
        local: null,
        primaryUpstream: { kind, baseUrl: `http://127.0.0.1:${upstream.port}`, dialects: [spoken], model: 'm' },
        // No breaker stays open: time leaps between requests.
        clock: { ...systemClock, now: () => now },
        spec: { stateDirectory: null },
      });
      closeWith(rig);
      await fc.assert(
        fc.asyncProperty(nearly(rightAnswers(spoken)), fc.nat(2_000), fc.boolean(), async (bytes, at, stream) => {
          [answer, cut, now] = [bytes, at, now + 2 * 86_400_000];
          const got = await exchanged(Number(new URL(rig.url).port), dialects[asked].path, requestOf(asked, stream));
          expect(got).toMatch(/^HTTP\/1\.1 [2-5]\d\d /);
          expectHonestEnd(asked, got);
        }),
        { numRuns: RUNS },
      );
      expect(await (await fetch(`${rig.url}/-/health`)).json()).toEqual({ ok: true });
    },
  );
});

describe.each(NAMES)('an answer in %s that says neither how long nor what it is', (dialect) => {
  const SAYING = { text: ['All ', 'of it.'] };
  const whole = JSON.stringify(answerWhole(dialect, SAYING, 'm'));
  const stream = answerFrames(dialect, SAYING, 'm').join('');

  async function answered(body: string, asksForStream: boolean): Promise<string> {
    const upstream = await openRawServer((socket) =>
      socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`)),
    );
    closing.push(() => upstream.close());
    const rig = await openGatewayRig({
      primary: { dialects: [dialect] },
      primaryUpstream: { baseUrl: `http://127.0.0.1:${upstream.port}` },
      spec: { stateDirectory: null },
    });
    closeWith(rig);
    const asked = requestOf(dialect, asksForStream);
    const got = await exchanged(Number(new URL(rig.url).port), dialects[dialect].path, asked);
    expectHonestEnd(dialect, got);
    return got;
  }

  it.each([
    ['JSON', whole, false],
    ['a stream', stream, true],
  ])('comes whole from elsewhere when it is half of %s', async (_, body, asksForStream) => {
    const got = await answered(body.slice(0, body.length / 2), asksForStream);
    expect(got).toContain('x-selfheal-upstream: local');
    expect(got).not.toContain('All ');
  });

  it.each([
    ['JSON', whole, false],
    ['a stream', stream, true],
  ])('is passed on as it came when it is the whole of %s', async (_, body, asksForStream) => {
    const got = await answered(body, asksForStream);
    expect(got.slice(got.indexOf('\r\n\r\n') + 4)).toBe(body);
  });
});

/** A stream that was ended properly says that the answer is complete, or what went wrong. */
function expectHonestEnd(dialect: FakeDialect, got: string): void {
  const end = got.indexOf('\r\n\r\n');
  const head = parseHead(got.slice(0, end));
  // What an answer's text says of itself is no head.
  if (head?.headers['content-type']?.includes('text/event-stream') !== true) return;
  const body = new BodyReader(framingOf(head, 'close'));
  const bytes = body.push(Buffer.from(got.slice(end + 4), 'latin1'));
  if (!body.endsHere) return;
  const reader = dialects[dialect].reader();
  const events = framesOf(bytes).flatMap((frame) => reader.push(frame));
  expect(events.filter(({ kind }) => kind === 'end' || kind === 'error')).not.toEqual([]);
}

/** Everything that comes back, until the other side closes. */
async function exchanged(port: number, path: string, body: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('error', () => {}).on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  const closed = once(socket, 'close');
  const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n`;
  socket.write(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  await closed;
  return text;
}
