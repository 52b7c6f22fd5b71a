// Streams at their edges: upstreams that do not end, and agents that read when they like.

import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type GatewayRig, openGatewayRig, type RigOptions } from '../testing/gateway-rig.ts';
import { answerFrames } from '../testing/model-shapes.ts';
import { openRawServer, type RawServer } from '../testing/raw-server.ts';

const closing: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

/** A gateway whose only provider is this bare server. */
async function openBefore(upstream: RawServer, options: RigOptions = {}): Promise<GatewayRig> {
  const rig = await openGatewayRig({
    ...options,
    local: null,
    primaryUpstream: { baseUrl: `http://127.0.0.1:${upstream.port}` },
  });
  closing.push(async () => {
    await rig.close();
    expect(rig.problems).toEqual([]);
  });
  return rig;
}

async function openUpstream(connected: (socket: Socket, index: number) => void): Promise<RawServer> {
  const server = await openRawServer(connected);
  closing.push(() => server.close());
  return server;
}

/** Asks for a stream; the response is not read yet. */
async function ask(url: string): Promise<{ readonly request: ClientRequest; readonly response: IncomingMessage }> {
  const body = JSON.stringify({ model: 'm', max_tokens: 9, stream: true, messages: [{ role: 'user', content: 'x' }] });
  const headers = { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' };
  const request = httpRequest(`${url}/v1/messages`, { method: 'POST', headers, agent: false });
  const [response] = (await once(request.end(body), 'response')) as [IncomingMessage];
  return { request, response };
}

const WHOLE = answerFrames('messages', { text: ['Hello.'] }, 'm').join('');

describe('an upstream that goes on after its terminal event', () => {
  it.each([
    ['is silent', (_: Socket) => {}],
    ['keeps talking', (socket: Socket) => talk(socket)],
  ])('and %s is hung up on, while the agent’s answer has ended normally', async (_, then) => {
    let tell = (): void => {};
    const hungUp = new Promise<void>((resolve) => (tell = resolve));
    const upstream = await openUpstream((socket) => {
      socket.once('close', tell);
      socket.once('data', () => socket.write(HEAD + chunk(WHOLE), () => then(socket)));
    });
    const rig = await openBefore(upstream, { deadlines: { drainMs: 100 } });
    const { response } = await ask(rig.url);
    expect(String((await response.toArray()).join('')).startsWith(WHOLE)).toBe(true);
    await hungUp;
    expect(upstream.sockets.size).toBe(0);
    expect(rig.gateway.status()).toMatchObject({ lost: 0, spliced: 0 });
  });

  it('is asked again on the same connection when its message ends in time', async () => {
    let connections = 0;
    let end = (): void => {};
    const upstream = await openUpstream((socket) => {
      connections += 1;
      end = () => void socket.write('0\r\n\r\n');
      socket.on('data', () => socket.write(HEAD + chunk(WHOLE)));
    });
    const rig = await openBefore(upstream);
    for (let i = 0; i < 5; i++) {
      const { response } = await ask(rig.url);
      expect(String((await response.toArray()).join(''))).toBe(WHOLE);
      end();
      // What was sent before this question has been read when it is answered.
      await (await fetch(`${rig.url}/-/health`)).text();
    }
    expect(connections).toBe(1);
  });
});

/** Comments without end, as fast as they are taken. */
function talk(socket: Socket): void {
  while (!socket.destroyed && socket.write(chunk(': still here\n\n'.repeat(1_000))));
  socket.once('drain', () => talk(socket));
}

describe('an agent that pauses', () => {
  const STALL_MS = 900;
  /** Longer than the whole way holds: the gateway's own store and the system's on both sides. */
  const PIECES = 400;
  const PIECE = 'x'.repeat(64 * 1024);

  it('may do so for longer than an upstream may be silent', async () => {
    const frames = answerFrames('messages', { text: Array.from({ length: PIECES }, () => PIECE) }, 'm');
    let written = 0;
    let held = (): void => {};
    const isHeld = new Promise<void>((resolve) => (held = resolve));
    const upstream = await openUpstream((socket) => {
      const more = (): void => {
        while (written < frames.length) {
          const isTaken = socket.write(chunk(frames[written++] as string));
          if (isTaken) continue;
          // Nothing moves any more once a whole turn has brought no way on.
          const waiting = setTimeout(held, STALL_MS / 4);
          return void socket.once('drain', () => {
            clearTimeout(waiting);
            more();
          });
        }
        socket.write('0\r\n\r\n');
      };
      socket.once('data', () => {
        socket.write(HEAD);
        more();
      });
    });
    const rig = await openBefore(upstream, { deadlines: { firstMs: STALL_MS, stallMs: STALL_MS } });
    const { response } = await ask(rig.url);
    await isHeld;
    await new Promise((resolve) => setTimeout(resolve, 2 * STALL_MS));
    let size = 0;
    for await (const bytes of response) size += (bytes as Buffer).length;
    expect(size).toBe(Buffer.byteLength(frames.join('')));
    expect(rig.gateway.status()).toMatchObject({ lost: 0, spliced: 0 });
  });

  it('is told of a stall that comes after his pause', async () => {
    const frames = answerFrames('messages', { text: Array.from({ length: 200 }, () => PIECE) }, 'm').slice(0, -3);
    const upstream = await openUpstream((socket) => {
      socket.once('data', () => {
        socket.write(HEAD);
        for (const frame of frames) socket.write(chunk(frame));
      });
    });
    const rig = await openBefore(upstream, { deadlines: { stallMs: STALL_MS } });
    const { response } = await ask(rig.url);
    await new Promise((resolve) => setTimeout(resolve, 2 * STALL_MS));
    const text = String((await response.toArray()).join(''));
    expect(text.slice(-1_000)).toContain('event: error');
    expect(rig.gateway.status()).toMatchObject({ lost: 1 });
  });
});
