// What is no conversation, as it is passed on: byte for byte, however its length is said and however fast it is read.

import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { openGatewayRig } from '../testing/gateway-rig.ts';
import { openRawServer } from '../testing/raw-server.ts';

const closing: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** The head of an answer that a gateway passes on from a provider that says just this. */
async function passedFrom(say: (socket: Socket) => void): Promise<IncomingMessage> {
  const upstream = await openRawServer((socket) => socket.once('data', () => say(socket)));
  closing.push(() => upstream.close());
  const rig = await openGatewayRig({
    local: null,
    primaryUpstream: { baseUrl: `http://127.0.0.1:${upstream.port}` },
  });
  closing.push(async () => {
    await rig.close();
    expect(rig.problems).toEqual([]);
  });
  const headers = { 'anthropic-version': '2023-06-01' };
  const [response] = (await once(httpRequest(`${rig.url}/v1/models`, { headers, agent: false }).end(), 'response')) as [
    IncomingMessage,
  ];
  return response;
}

const textOf = async (response: IncomingMessage): Promise<string> => String((await response.toArray()).join(''));

it('a length beside chunks is not believed: the chunks say where the answer ends', async () => {
  const response = await passedFrom((socket) =>
    socket.write(
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
    ),
  );
  expect(response.headers['content-length']).toBeUndefined();
  expect(await textOf(response)).toBe('hello world');
});

it('a length alone is passed on', async () => {
  const response = await passedFrom((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'));
  expect(response.headers['content-length']).toBe('5');
  expect(await textOf(response)).toBe('hello');
});

it('an answer shorter than its length is cut for the agent, too', async () => {
  const response = await passedFrom((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello'));
  await expect(textOf(response)).rejects.toThrow(/aborted/);
});

it('very many small parts wait for an agent that reads late, and come whole and in order', async () => {
  const parts = Array.from({ length: 100_000 }, (_, i) => `${i}: ${'x'.repeat(i % 200)}\n`);
  let [sent, isHeld] = [0, false];
  const response = await passedFrom((socket) => {
    const more = (): void => {
      while (sent < parts.length) {
        const part = parts[sent++] as string;
        if (socket.write(`${part.length.toString(16)}\r\n${part}\r\n`)) continue;
        isHeld = true;
        return void socket.once('drain', more);
      }
      socket.write('0\r\n\r\n');
    };
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
    more();
  });
  while (!isHeld) await new Promise((resolve) => setImmediate(resolve));
  expect((await textOf(response)) === parts.join('')).toBe(true);
});

it('an agent that does not read holds the provider back, instead of filling the memory', async () => {
  const [piece, pieces] = [Buffer.alloc(64 * 1024, 'x'), 1_500];
  let sent = 0;
  const response = await passedFrom((socket) => {
    const more = (): void => {
      for (let goesOn = true; goesOn && sent < pieces; sent++) goesOn = socket.write(piece);
      if (sent === pieces) socket.end();
    };
    socket.on('drain', more).write('HTTP/1.1 200 OK\r\n\r\n');
    more();
  });
  // Nobody reads until nothing more is taken, or all of it was.
  for (let [still, seen] = [0, -1]; still < 100 && sent < pieces; [still, seen] = [seen === sent ? still + 1 : 0, sent])
    await new Promise((resolve) => setImmediate(resolve));
  expect(sent).toBeLessThan(pieces);
  let size = 0;
  for await (const bytes of response) size += (bytes as Buffer).length;
  expect(size).toBe(pieces * piece.length);
});
