// Model servers of this machine that are found: each has a name of its own, for limits and tries go by name.

import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import type { Upstream } from './contract.ts';
import { discovered } from './discover.ts';

const closing: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A llama.cpp as far as a look at it goes; its port. */
async function llamaCpp(): Promise<number> {
  const server = createServer((request, response) => {
    const body = request.url === '/props' ? { default_generation_settings: { n_ctx: 512 }, model_alias: 'tiny' } : {};
    response.end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const named = (name: string): Upstream => ({
  ...{ name, kind: 'anthropic', baseUrl: 'https://a.example', dialects: ['messages'], fallback: false },
  ...{ apiKey: null, model: null, contextTokens: null, concurrency: null, keepWarm: false },
});

it('two servers of one kind have two names, whichever of them is there', async () => {
  const ports = [await llamaCpp(), await llamaCpp()];
  const names = async (looked: readonly number[]): Promise<readonly string[]> =>
    (await discovered({ upstreams: [], discover: true, ownPort: 0, ports: looked })).map(({ name }) => name);
  expect(await names(ports)).toEqual(ports.map((port) => `llama.cpp-${port}`));
  expect(await names(ports.slice(1))).toEqual([`llama.cpp-${ports[1]}`]);
});

it('a name that the owner has given is not taken by a server that is found', async () => {
  const port = await llamaCpp();
  const upstreams = [named(`llama.cpp-${port}`)];
  const all = await discovered({ upstreams, discover: true, ownPort: 0, ports: [port] });
  expect(all.map(({ name }) => name)).toEqual([`llama.cpp-${port}`, `llama.cpp-${port}-${port}`]);
});
