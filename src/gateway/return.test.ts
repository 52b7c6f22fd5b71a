// The way back to a provider that was limited: not before the time that it named, from then on at once, with one look
// however many agents ask, and without an agent seeing any of it.

import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../host/clock.ts';
import { type GatewayRig, openGatewayRig } from '../testing/gateway-rig.ts';
import { askStreaming } from '../testing/model-clients.ts';
import type { FakeBehaviour } from '../testing/model-server.ts';
import { answerFrames } from '../testing/model-shapes.ts';
import { openRawServer } from '../testing/raw-server.ts';

const LOCAL = 'And the local model answers.';
const PRIMARY = 'Hello from the fake.';
const WHOLE = answerFrames('messages', { text: [PRIMARY] }, 'm').join('');
const AGENTS = 12;

let now = Date.UTC(2026, 0, 5, 12);
let rig: GatewayRig;
afterEach(async () => {
  await rig.close();
  expect(rig.problems).toEqual([]);
});

async function open(behave: (index: number) => FakeBehaviour): Promise<void> {
  rig = await openGatewayRig({
    primary: { behave: (_, index) => behave(index) },
    clock: { ...systemClock, now: () => now },
    spec: { stateDirectory: null },
  });
}

const limited = (headers: Record<string, string>): FakeBehaviour => ({
  ...{ kind: 'error', status: 429, type: 'rate_limit_error' },
  headers,
});

/** All of them ask at once; what each of them got. */
const agents = (): Promise<readonly string[]> =>
  Promise.all(Array.from({ length: AGENTS }, async () => (await askStreaming('messages', rig.url)).text));

describe('a provider that was limited', () => {
  it.each<[string, number, (at: number) => Record<string, string>]>([
    ['retry-after', 30_000, () => ({ 'retry-after': '30' })],
    ['retry-after-ms', 2_345, () => ({ 'retry-after-ms': '2345' })],
    [
      'the reset of what is used up',
      61_000,
      (at) => ({
        'anthropic-ratelimit-tokens-limit': '1000',
        'anthropic-ratelimit-tokens-remaining': '0',
        'anthropic-ratelimit-tokens-reset': new Date(at + 61_000).toISOString(),
      }),
    ],
  ])('is asked again in the millisecond that %s names, and not before', async (_, waitMs, headers) => {
    const since = now;
    await open((index) => (index === 0 ? limited(headers(since)) : { kind: 'answer' }));
    expect((await askStreaming('messages', rig.url)).text).toBe(LOCAL);
    now = since + waitMs - 1;
    expect(await agents()).toEqual(Array(AGENTS).fill(LOCAL));
    expect(rig.primary.calls).toHaveLength(1);
    now = since + waitMs;
    expect((await askStreaming('messages', rig.url)).text).toBe(PRIMARY);
    expect(await agents()).toEqual(Array(AGENTS).fill(PRIMARY));
    expect(rig.events.map(({ kind }) => kind)).toEqual(['failover', 'restored']);
  });

  it('is left alone although an answer that it had begun before comes through', async () => {
    // The first one is asked before the limit and answered after it.
    let answer = (): void => {};
    const upstream = await openRawServer((socket, index) =>
      socket.once('data', () => {
        const limit = 'HTTP/1.1 429 Too Many\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n';
        if (index > 0) return socket.end(limit);
        answer = () => void socket.end(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n${WHOLE}`);
      }),
    );
    const connections = (): number => upstream.sockets.size;
    rig = await openGatewayRig({
      primaryUpstream: { baseUrl: `http://127.0.0.1:${upstream.port}` },
      clock: { ...systemClock, now: () => now },
      spec: { stateDirectory: null },
    });
    const first = askStreaming('messages', rig.url);
    while (connections() === 0) await new Promise((resolve) => setImmediate(resolve));
    expect((await askStreaming('messages', rig.url)).text).toBe(LOCAL);
    answer();
    expect((await first).text).toBe(PRIMARY);
    expect(await agents()).toEqual(Array(AGENTS).fill(LOCAL));
    expect(rig.gateway.status().upstreams[0]).toMatchObject({ failed: 1, answered: 1, open: [{ kind: 'limited' }] });
    await upstream.close();
  });

  it('is looked at once in each window while it stays limited, whatever number of agents ask', async () => {
    const windows = 8;
    await open((index) => (index < windows ? limited({ 'retry-after': '60' }) : { kind: 'answer' }));
    for (let window = 0; window < windows; window++) {
      // The first of them finds it out; all the others are answered elsewhere meanwhile.
      if (window === 0) await askStreaming('messages', rig.url);
      expect(await agents()).toEqual(Array(AGENTS).fill(LOCAL));
      expect(await agents()).toEqual(Array(AGENTS).fill(LOCAL));
      expect(rig.primary.calls).toHaveLength(window + 1);
      now += 60_000;
    }
    expect((await agents()).filter((text) => text === PRIMARY)).toHaveLength(1);
    expect(await agents()).toEqual(Array(AGENTS).fill(PRIMARY));
  });
});
