import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createScratch, freePort, type Scratch } from '../testing/scratch.ts';
import { createNetworkProbe, endpointOf, isLoopback } from './network.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = createScratch();
});
afterEach(() => scratch.close());

async function serve(answer: (url: string) => { status: number; location?: string } | null): Promise<number> {
  const server: Server = createHttpServer((request, response) => {
    const said = answer(request.url ?? '');
    if (said)
      response.writeHead(said.status, said.location ? { location: said.location } : {}).end('x'.repeat(100_000));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scratch.later(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

describe('http', () => {
  const probe = createNetworkProbe({ peers: [], timeoutMs: 400 });

  it.each([
    [200, true],
    [204, true],
    [404, false],
    [500, false],
  ])('status %i passes: %s', async (status, passed) => {
    const port = await serve(() => ({ status }));
    expect(await probe.http(`http://127.0.0.1:${port}/`)).toMatchObject({ passed, status });
  });

  it('takes a redirect as an answer and does not follow it', async () => {
    const asked: string[] = [];
    const port = await serve((url) => {
      asked.push(url);
      return { status: 302, location: '/elsewhere' };
    });
    expect(await probe.http(`http://127.0.0.1:${port}/`)).toMatchObject({ passed: true, status: 302 });
    expect(asked).toEqual(['/']);
  });

  it('does not wait for ever, and says what failed', async () => {
    const port = await serve(() => null);
    expect(await probe.http(`http://127.0.0.1:${port}/`)).toMatchObject({ passed: false, status: null });
    const refused = await probe.http(`http://127.0.0.1:${await freePort()}/`);
    expect(refused).toMatchObject({ passed: false, evidence: 'ECONNREFUSED' });
  });

  it.each([
    'http://169.254.169.254/latest',
    'http://example.org/',
    'file:///etc/passwd',
    'http://127.0.0.1.evil.test/',
    'nonsense',
  ])('never contacts %s', async (url) => {
    expect(await probe.http(url)).toMatchObject({ passed: 'unknown', status: null });
  });
});

describe('tcp', () => {
  it('tells an open port from a closed one', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    scratch.later(() => void server.close());
    const probe = createNetworkProbe({ peers: [] });
    expect((await probe.tcp('127.0.0.1', (server.address() as { port: number }).port)).passed).toBe(true);
    expect(await probe.tcp('localhost', await freePort())).toMatchObject({ passed: false });
    expect((await probe.tcp('10.1.2.3', 80)).passed).toBe('unknown');
    expect((await probe.tcp('127.0.0.1', 70_000)).passed).toBe('unknown');
  });
});

describe('names', () => {
  it('are looked up', async () => {
    const probe = createNetworkProbe({ peers: [] });
    expect((await probe.resolves('localhost')).passed).toBe(true);
    expect((await probe.resolves('127.0.0.1')).passed).toBe(true);
    expect((await probe.resolves('no-such-name.invalid')).passed).toBe(false);
  });

  it.each(['-x', 'a b', 'a;b', '', 'x'.repeat(300), '$(id)'])('that are none are not: %j', async (name) => {
    expect((await createNetworkProbe({ peers: [] }).resolves(name)).passed).toBe('unknown');
  });
});

describe('offline', () => {
  it('is never said while a configured peer answers', async () => {
    const port = await serve(() => ({ status: 200 }));
    expect(await createNetworkProbe({ peers: [`http://127.0.0.1:${port}`] }).offline()).toBe(false);
  });

  it('is said though a probe on this host answers, when nobody else does and no name has an address', async () => {
    const port = await serve(() => ({ status: 200 }));
    const peers = [`http://127.0.0.1:${port}`, 'https://no-such-host.invalid'];
    expect(await createNetworkProbe({ peers, timeoutMs: 2_000 }).offline()).toBe(true);
  });
});

it('reads endpoints', () => {
  expect(endpointOf('https://api.example.com/v1')).toEqual({ host: 'api.example.com', port: 443 });
  expect(endpointOf('http://[::1]:8080/x')).toEqual({ host: '::1', port: 8080 });
  expect(endpointOf('db.local:5432')).toEqual({ host: 'db.local', port: 5432 });
  expect(endpointOf('/run/x.sock')).toBeNull();
  expect([isLoopback('127.8.8.8'), isLoopback('LOCALHOST'), isLoopback('[::1]'), isLoopback('127.evil.test')]).toEqual([
    true,
    true,
    true,
    false,
  ]);
});
