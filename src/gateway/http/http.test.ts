import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type RequestListener,
  type Server,
} from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, createServer as createSocketServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { placeOf } from '../calling.ts';
import { joined, readAll, type Sink } from './answer.ts';
import { BodyReader } from './body.ts';
import { Door } from './door.ts';
import type { Exchange, RequestHead } from './exchange.ts';
import { parseHead } from './head.ts';
import { Lines, type LinesOptions } from './lines.ts';
import { Hangup } from './stop.ts';

const closing: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const CAP = 1024 * 1024;

async function openDoor(serve: (exchange: Exchange) => unknown): Promise<number> {
  return (await doorTo(serve)).address().port;
}

async function doorTo(
  serve: (exchange: Exchange) => unknown,
  problems: unknown[] = [],
  admit: (head: RequestHead) => null = () => null,
): Promise<Door> {
  const door = new Door({
    admit,
    serve,
    refuse: (status, body) => ({ status, fields: [], body }),
    bodyCap: CAP,
    bodiesCap: 2 * CAP,
    connections: 10,
    problem: (_, error) => problems.push(error),
  });
  await door.listen(0, '127.0.0.1', () => {});
  closing.push(() => door.close());
  return door;
}

/** Answers with what it was asked. */
const echo = (exchange: Exchange): void => {
  const { method, url } = exchange.request;
  exchange.answer(200, ['x-asked', `${method} ${url}`], exchange.body);
};

/** Everything that comes back for these bytes, until the other side closes. */
async function raw(port: number, pieces: readonly (string | Buffer)[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  socket.on('error', () => {});
  await once(socket, 'connect');
  let text = '';
  socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  const closed = once(socket, 'close');
  for (const piece of pieces) await new Promise((resolve) => socket.write(piece, resolve));
  await closed;
  return text;
}

/** Turns of the event loop until it is so. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

function broken(): never {
  throw new Error('broken');
}

const bodiesOf = (text: string): string[] =>
  text
    .split('HTTP/1.1 ')
    .slice(1)
    .map((one) => one.split('\r\n\r\n')[1] ?? '');

describe('a door', () => {
  it('takes requests whole, however their bytes arrive, one after the other', async () => {
    const port = await openDoor(echo);
    const two =
      'POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nfirst' +
      'POST /b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nsec\r\n3\r\nond\r\n0\r\nx-t: 1\r\n\r\n' +
      'GET /c HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';
    for (let at = 1; at < two.length; at += 7)
      expect(bodiesOf(await raw(port, [two.slice(0, at), two.slice(at)]))).toEqual(['first', 'second', '']);
  });

  it.each([
    [
      'a length and chunks at once',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
    ],
    ['two lengths', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n'],
    ['a length that is no number', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +1\r\n\r\n'],
    ['another coding', 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n'],
    ['a folded field', 'GET / HTTP/1.1\r\nhost: x\r\n y\r\n\r\n'],
    ['a bare line feed', 'GET / HTTP/1.1\r\nhost: x\nx-a: b\r\n\r\n'],
    ['a space before a colon', 'GET / HTTP/1.1\r\nhost : x\r\n\r\n'],
    ['a NUL', 'GET / HTTP/1.1\r\nhost: x\0\r\n\r\n'],
    ['an announcement without end', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(5_000)],
    ['a coding that nobody here undoes', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
    ['another protocol', 'GET / HTTP/2.0\r\nhost: x\r\n\r\n'],
    ['a size of a chunk that is none', 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n'],
    ['a chunk longer than it says', 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n'],
  ])('refuses %s, and closes', async (_, bytes) => {
    const port = await openDoor(() => expect.unreachable());
    expect(await raw(port, [bytes])).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('refuses a head without an end and a body beyond the cap, before and while it comes', async () => {
    const port = await openDoor(() => expect.unreachable());
    expect(await raw(port, [`GET / HTTP/1.1\r\nx: ${'y'.repeat(70_000)}`])).toMatch(/^HTTP\/1\.1 431 /);
    expect(await raw(port, [`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${CAP + 1}\r\n\r\n`])).toMatch(
      /^HTTP\/1\.1 413 /,
    );
    const chunk = Buffer.concat([Buffer.from(`${(CAP + 1).toString(16)}\r\n`), Buffer.alloc(CAP + 1)]);
    expect(await raw(port, ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n', chunk])).toMatch(
      /^HTTP\/1\.1 413 /,
    );
  });

  const CHUNKED = 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n';

  it.each([
    ['one extension of a chunk', `1;${'x'.repeat(17_000)}\r\na\r\n0\r\n\r\n`],
    ['many extensions of chunks', `1;${'x'.repeat(1_000)}\r\na\r\n`.repeat(17) + '0\r\n\r\n'],
    ['trailers', `1\r\na\r\n0\r\n${`x: ${'y'.repeat(1_000)}\r\n`.repeat(17)}\r\n`],
    ['an extension without an end', `1;${'x'.repeat(17_000)}`],
  ])('says that %s are too long, and keeps nothing of it', async (_, body) => {
    const door = await doorTo(() => expect.unreachable());
    expect(await raw(door.address().port, [CHUNKED, body])).toMatch(/^HTTP\/1\.1 400 [^]*extensions/);
    expect(door.bodies).toBe(0);
  });

  it('takes extensions and trailers of the ordinary kind', async () => {
    const body = `1;name="value"\r\na\r\n`.repeat(500) + `0\r\nx: ${'y'.repeat(1_000)}\r\n\r\n`;
    const last = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';
    expect(bodiesOf(await raw(await openDoor(echo), [CHUNKED, body, last]))).toEqual(['a'.repeat(500), '']);
  });

  it('counts what is still coming: who would be too much is told to come again, and all is given back', async () => {
    let answer = (): void => {};
    const mayAnswer = new Promise<void>((resolve) => (answer = resolve));
    const door = await doorTo(async (exchange) => {
      await mayAnswer;
      exchange.answer(200, [], []);
    });
    const { port } = door.address();
    // Two that have nearly all of the room, one of them whole and being served.
    const size = CAP - 20_000;
    const [whole, half] = [size, size + 1].map((length) => {
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      closing.push(() => socket.destroy());
      socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n`);
      socket.write(Buffer.alloc(size));
      return socket;
    }) as [Socket, Socket];
    await until(() => door.bodies > 2 * size);
    const asked = `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 64000\r\n\r\n`;
    expect(await raw(port, [asked])).toMatch(/^HTTP\/1\.1 503 [^]*at a time/);
    const chunk = `fa00\r\n${'x'.repeat(64_000)}\r\n`;
    expect(await raw(port, [CHUNKED, chunk])).toMatch(/^HTTP\/1\.1 503 [^]*at a time/);
    // What has no body is not refused, and who hangs up while he sends leaves nothing behind.
    const isServed = raw(port, ['GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n']);
    half.destroy();
    await until(() => door.bodies < size + 20_000);
    answer();
    expect(await isServed).toMatch(/^HTTP\/1\.1 200 /);
    await once(whole.resume(), 'close');
    await until(() => door.bodies === 0);
  });

  it('keeps nothing of a body that became too long', async () => {
    const door = await doorTo(() => expect.unreachable());
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    expect(await raw(door.address().port, [CHUNKED, chunk.repeat(17)])).toMatch(/^HTTP\/1\.1 413 [^]*than 1 MiB/);
    expect(door.bodies).toBe(0);
  });

  it.each<[string, (exchange: Exchange) => unknown]>([
    ['at once', () => broken()],
    ['later', () => Promise.reject(new Error('broken'))],
    [
      'while it waits for a slow reader',
      (exchange) => {
        exchange.open(200, []);
        exchange.onceDrained(broken);
      },
    ],
    [
      'when a slow reader goes on reading',
      (exchange) => {
        exchange.open(200, []);
        expect(exchange.write(Buffer.alloc(64 * CAP))).toBe(false);
        // What has been sent by now was too much for the connection: it tells by itself when there is room again.
        setImmediate(() => exchange.onceDrained(broken));
      },
    ],
    ['while a request is let in', () => expect.unreachable()],
    [
      'when the other side has gone',
      (exchange) => {
        exchange.gone.addEventListener('abort', broken);
        exchange.destroy();
      },
    ],
  ])('a bug that shows itself %s ends its connection only, and is told', async (when, serve) => {
    const problems: unknown[] = [];
    const admit = (head: RequestHead): null =>
      head.url === '/bug' && when === 'while a request is let in' ? broken() : null;
    const door = await doorTo(
      (exchange) => (exchange.request.url === '/bug' ? serve(exchange) : echo(exchange)),
      problems,
      admit,
    );
    const { port } = door.address();
    const ask = (path: string) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
    const neighbour = connect(port, '127.0.0.1');
    closing.push(() => neighbour.destroy());
    neighbour.write(ask('/first'));
    await once(neighbour, 'data');
    await raw(port, [ask('/bug')]);
    await until(() => problems.length > 0);
    expect(problems).toMatchObject([{ message: 'broken' }]);
    neighbour.write(ask('/second'));
    expect(String((await once(neighbour, 'data'))[0])).toContain('x-asked: GET /second');
    await until(() => door.bodies === 0);
  });

  it('serves nothing that stands behind the last request of a connection', async () => {
    const port = await openDoor(echo);
    const [last, more] = ['connection: close\r\n', ''].map(
      (field, n) => `GET /${n} HTTP/1.1\r\nhost: x\r\n${field}\r\n`,
    );
    const text = await raw(port, [`${last}${more}`]);
    expect(text.match(/x-asked: GET \/\d/g)).toEqual(['x-asked: GET /0']);
  });

  it('asks for a body that waits to be asked for, and leaves out that of HEAD', async () => {
    const port = await openDoor(echo);
    const headers = { expect: '100-continue', 'content-length': 2 };
    const asking = httpRequest({ port, method: 'POST', headers, agent: false });
    await once(asking, 'continue');
    const [response] = (await once(asking.end('ab'), 'response')) as [IncomingMessage];
    expect(String(await response.toArray())).toBe('ab');
    const head = await raw(port, ['HEAD / HTTP/1.0\r\ncontent-length: 2\r\n\r\nab']);
    expect(head).toMatch(/content-length: 2\r\n[^]*\r\n\r\n$/);
  });

  it('streams to whoever reads slowly without keeping it all', async () => {
    let refused = 0;
    const piece = Buffer.alloc(64 * 1024, 'x');
    const port = await openDoor((exchange) => {
      exchange.open(200, []);
      let left = 200;
      const more = (): void => {
        while (left-- > 0) {
          if (exchange.write(piece)) continue;
          refused += 1;
          return exchange.onceDrained(more);
        }
        exchange.end();
      };
      more();
    });
    let size = 0;
    const [response] = (await once(httpRequest({ port, agent: false }).end(), 'response')) as [IncomingMessage];
    for await (const bytes of response) size += bytes.length;
    expect(size).toBe(200 * piece.length);
    expect(refused).toBeGreaterThan(10);
  });

  it('tells when the other side has hung up, and cuts what was begun and cannot be ended', async () => {
    let exchange: Exchange | null = null;
    const asked = new Promise<Exchange>(
      (resolve) => void openDoor((e) => resolve((exchange = e))).then((p) => (port = p)),
    );
    let port = 0;
    await new Promise((resolve) => setImmediate(resolve));
    while (port === 0) await new Promise((resolve) => setImmediate(resolve));
    const socket = connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    const { gone } = await asked;
    const left = new Promise<void>((resolve) => gone.addEventListener('abort', resolve));
    socket.destroy();
    await left;
    expect(gone.aborted).toBe(true);
    (exchange as Exchange | null)?.answer(200, [], []);

    const cut = await openDoor((e) => {
      e.open(200, [], 10);
      e.write(Buffer.from('12345'));
      e.end();
    });
    const [response] = (await once(httpRequest({ port: cut, agent: false }).end(), 'response')) as [
      NodeJS.ReadableStream,
    ];
    await expect(once(response.resume(), 'end')).rejects.toThrow(/aborted/);
  });
});

describe('lines', () => {
  async function serve(listener: RequestListener, server: Server = createServer()): Promise<number> {
    server.on('request', listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(
      () => server.closeAllConnections(),
      () => server.close(),
    );
    return (server.address() as AddressInfo).port;
  }
  async function serveRaw(connected: (socket: Socket, index: number) => void): Promise<number> {
    let count = 0;
    const sockets: Socket[] = [];
    const server = createSocketServer((socket) => {
      sockets.push(socket.on('error', () => {}));
      connected(socket, count++);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(
      () => sockets.forEach((socket) => socket.destroy()),
      () => server.close(),
    );
    return (server.address() as AddressInfo).port;
  }
  const open = (options?: LinesOptions): Lines => {
    const lines = new Lines(options);
    closing.push(() => lines.close());
    return lines;
  };
  async function ask(
    lines: Lines,
    port: number,
    how: { body?: Buffer; base?: string; signal?: Hangup; headMs?: number } = {},
  ) {
    const place = placeOf({ baseUrl: how.base ?? `http://127.0.0.1:${port}` });
    const { body } = how;
    const answer = await lines.call({
      place,
      method: body ? 'POST' : 'GET',
      path: '/',
      headers: { host: place.host, ...(body && { 'content-length': String(body.length) }) },
      body: body ? [body] : null,
      connectMs: 10_000,
      headMs: how.headMs ?? 10_000,
      signal: how.signal ?? new Hangup(),
    });
    return { status: answer.status, body: joined(await readAll(answer, 50 * CAP, 10_000, how.signal)) };
  }

  it('bring the very bytes there and back, large and small, on one connection', async () => {
    const sockets = new Set<unknown>();
    const port = await serve((request, response) => {
      sockets.add(request.socket);
      if (request.headers['content-length'] === undefined) response.end();
      else request.pipe(response);
    });
    const lines = open();
    for (const size of [0, 1, 1_000, 70_000, 3_000_000]) {
      const body = Buffer.alloc(size, 'äöü€\r\n\r\n0\r\n');
      const got = await ask(lines, port, { body });
      expect([got.status, got.body.equals(body)]).toEqual([200, true]);
    }
    expect(sockets.size).toBe(1);
  });

  it('read answers that last until the connection closes, behind announcements', async () => {
    const port = await serveRaw((socket) =>
      socket.once('data', () =>
        socket.end('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200\r\n\r\nuntil it closes'),
      ),
    );
    expect(String((await ask(open(), port)).body)).toBe('until it closes');
  });

  it.each([
    ['a cut in the head', 'HTTP/1.1 200 OK\r\ncontent-len'],
    ['a cut in the body', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc'],
    ['a cut in a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab'],
    ['a missing last chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n'],
    ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n\r\n'],
    ['nothing', ''],
  ])('%s is a broken connection, not an answer', async (_, bytes) => {
    const port = await serveRaw((socket) => socket.once('data', () => socket.end(bytes)));
    await expect(ask(open(), port)).rejects.toMatchObject({ verdict: { kind: 'transport' } });
  });

  it('ask once more when a kept connection had been closed, but never when something had been said', async () => {
    const port = await serveRaw((socket, index) => {
      let asked = 0;
      socket.on('data', () => {
        if (asked++ === 0) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
        else if (index === 0) socket.destroy();
        else socket.end('HTTP/1.1 2');
      });
    });
    const lines = open();
    await ask(lines, port);
    expect(String((await ask(lines, port)).body)).toBe('ok');
    await expect(ask(lines, port)).rejects.toMatchObject({ verdict: { kind: 'transport' } });
  });

  it('do not ask twice for what the other side may have done before it hung up', async () => {
    let asked = 0;
    const port = await serveRaw((socket) =>
      socket.on('data', () => {
        if (asked++ === 0) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
        else setTimeout(() => socket.end(), 1_000);
      }),
    );
    const lines = open();
    const body = Buffer.from('{}');
    await ask(lines, port, { body });
    await expect(ask(lines, port, { body })).rejects.toMatchObject({ verdict: { kind: 'transport' } });
    expect(asked).toBe(2);
  });

  it('end with an error what is longer than the cap, unless its beginning is enough', async () => {
    const port = await serve((_request, response) => void response.end('0123456789abc'));
    const place = placeOf({ baseUrl: `http://127.0.0.1:${port}` });
    const call = () =>
      open().call({
        ...{ place, method: 'GET', path: '/', headers: { host: place.host }, body: null },
        ...{ connectMs: 10_000, headMs: 10_000, signal: new Hangup() },
      });
    await expect(readAll(await call(), 10, 10_000)).rejects.toMatchObject({ verdict: { code: 'too-much' } });
    expect(String(joined(await readAll(await call(), 10, 10_000, undefined, 'cut')))).toBe('0123456789');
  });

  it('do not trust a connection on which something came that nobody had asked for', async () => {
    const port = await serveRaw((socket) =>
      socket.on('data', () =>
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil'),
      ),
    );
    const lines = open();
    for (let i = 0; i < 3; i++) expect(String((await ask(lines, port)).body)).toBe('ok');
  });

  it.each<[string, Sink]>([
    ['takes bytes', { data: broken, ended: () => {} }],
    ['hears of the end', { data: () => {}, ended: broken }],
  ])('a bug of who %s ends that connection only, and is told', async (_, sink) => {
    const problems: unknown[] = [];
    let goOn = (): void => {};
    const port = await serveRaw((socket) =>
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n');
        goOn = () => void socket.write('some bytes');
        if (problems.length > 0) goOn();
      }),
    );
    const lines = open({ problem: (_message, error) => problems.push(error) });
    const place = placeOf({ baseUrl: `http://127.0.0.1:${port}` });
    const answer = await lines.call({
      ...{ place, method: 'GET', path: '/', headers: { host: place.host }, body: null },
      ...{ connectMs: 10_000, headMs: 10_000, signal: new Hangup() },
    });
    answer.read(sink);
    goOn();
    await until(() => problems.length > 0);
    expect(problems).toMatchObject([{ message: 'broken' }]);
    expect(String((await ask(lines, port)).body)).toBe('some bytes');
  });

  it('give up in time, and when nobody wants the answer any more', async () => {
    const port = await serveRaw(() => {});
    const lines = open();
    await expect(ask(lines, port, { headMs: 30 })).rejects.toMatchObject({ verdict: { kind: 'timeout' } });
    const signal = new Hangup();
    const asking = ask(lines, port, { signal });
    signal.abort(new Error('nobody wants it'));
    await expect(asking).rejects.toThrow('nobody wants it');
  });

  it('speak TLS, and only to whom the certificate names', async ({ skip }) => {
    const folder = mkdtempSync(join(tmpdir(), 'selfheal-tls-'));
    closing.push(() => rmSync(folder, { recursive: true }));
    const made =
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key -out cert -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost';
    try {
      execFileSync('openssl', made.split(' '), { cwd: folder, stdio: 'ignore' });
    } catch {
      skip('there is no openssl here');
    }
    const [key, cert] = ['key', 'cert'].map((name) => readFileSync(join(folder, name), 'utf8'));
    const secure = createSecureServer({ key, cert }) as unknown as Server;
    const port = await serve((_request, response) => void response.end('over TLS'), secure);
    const lines = open({ ca: cert as string });
    for (let i = 0; i < 2; i++)
      expect(String((await ask(lines, port, { base: `https://localhost:${port}` })).body)).toBe('over TLS');
    await expect(ask(lines, port, { base: `https://127.0.0.1:${port}` })).rejects.toMatchObject({
      verdict: { kind: 'transport', code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    });
    await expect(ask(open(), port, { base: `https://localhost:${port}` })).rejects.toMatchObject({
      verdict: { kind: 'transport' },
    });
  });
});

describe('a body', () => {
  it('is the same however it was cut into chunks, and however those arrive', () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 8 }), cuts, bytes, (chunks, sizes, behind) => {
        const full = chunks.filter((chunk) => chunk.length > 0);
        const wire = Buffer.concat([
          ...full.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
          Buffer.from('0\r\nx: y\r\n\r\n'),
          behind,
        ]);
        const reader = new BodyReader('chunked');
        const got: Buffer[] = [];
        let at = 0;
        for (let i = 0; at < wire.length && !reader.done; i++) {
          const piece = Buffer.from(wire.subarray(at, at + (sizes[i % sizes.length] as number)));
          at += piece.length;
          got.push(reader.push(piece));
        }
        expect(reader.broken).toBe(false);
        expect(reader.done).toBe(true);
        expect(Buffer.concat(got).equals(Buffer.concat(full))).toBe(true);
        expect(Buffer.concat([reader.rest, wire.subarray(at)]).equals(Buffer.from(behind))).toBe(true);
      }),
    );
  });

  it('never breaks its reader, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 20 }), (pieces) => {
        const reader = new BodyReader('chunked');
        for (const piece of pieces) if (!reader.done && !reader.broken) reader.push(Buffer.from(piece));
      }),
    );
  });
});

describe('a head', () => {
  it('is read as Node reads it, or refused', async () => {
    const seen: string[][] = [];
    const server = createServer({ insecureHTTPParser: false }, (request, response) => {
      seen.push(request.rawHeaders);
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(
      () => server.closeAllConnections(),
      () => server.close(),
    );
    const { port } = server.address() as AddressInfo;
    const odd = fc.stringMatching(/^[a-zA-Z:;, \t\r\n\0_"{}()-]{0,12}$/);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(odd, odd), { maxLength: 3 }), async (fields) => {
        const text = `GET / HTTP/1.1\r\nhost: x\r\nconnection: close${fields.map(([name, value]) => `\r\n${name}:${value}`).join('')}`;
        seen.length = 0;
        await raw(port, [`${text}\r\n\r\n`]);
        const head = parseHead(text.split('\r\n\r\n')[0] as string);
        // We may refuse what Node takes; what we take, it takes, and in the same way.
        if (head !== null && !/upgrade|expect|transfer|content/i.test(text))
          expect([head.fields]).toEqual(seen.slice(0, 1));
      }),
      { numRuns: 150 },
    );
  });
});
