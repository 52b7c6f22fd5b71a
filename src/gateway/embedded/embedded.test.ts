// The embedded model as a link of the chain, in its own process. The runtime is a small package on disk here, so that it can be
// made to misbehave; runtime.long.test.ts tries the real one.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startServing } from '../../host/serving.ts';
import { type Compiled, compile } from '../../testing/compiled.ts';
import { type GatewayRig, openGatewayRig } from '../../testing/gateway-rig.ts';
import { systemClock } from '../../host/clock.ts';
import type { Upstream } from '../contract.ts';
import { dialects } from '../dialects/index.ts';
import { runGateway } from '../run.ts';
import { framesOf } from '../sse.ts';
import type { EmbeddedSpec } from './contract.ts';
import { type Embedded, openEmbedded } from './host.ts';

/** Loads at once, and says what the last message tells it to do. */
const RUNTIME = `
let stop = () => {};
const answer = (text) => ({ text, tokens_predicted: 3, tokens_evaluated: 2 });
exports.loadModel = async ({ model }) => {
  if (model.includes('broken')) throw new Error('this is no model');
  return {
    getFormattedChat: async (messages) => ({ prompt: messages.map(({ content }) => content).join(' ') }),
    tokenize: async (text) => ({ tokens: text.split(' ') }),
    stopCompletion: () => stop(),
    completion: async ({ messages, n_predict }, each) => {
      const asked = messages.at(-1).content;
      if (asked.includes('surroundings')) return answer(process.cwd() + ' ' + Object.keys(process.env).join());
      each({ content: 'The embedded' });
      if (asked.includes('die')) setImmediate(() => process.abort());
      if (asked.includes('die') || asked.includes('hang')) await new Promise((resolve) => (stop = resolve));
      const text = 'The embedded model answers ' + process.pid + ' ' + (n_predict > 0);
      return answer(text);
    },
  };
};
`;

let compiled: Compiled;
let folder: string;
beforeAll(async () => {
  compiled = await compile(['model-main.ts']);
  folder = await mkdtemp(join(tmpdir(), 'selfheal-embedded-'));
  const runtime = join(folder, 'node_modules/@fugood/llama.node');
  await mkdir(runtime, { recursive: true });
  await writeFile(join(runtime, 'index.js'), RUNTIME);
});
afterAll(async () => {
  await compiled.remove();
  await rm(folder, { recursive: true, force: true });
});

const closing: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Opened {
  readonly embedded: Embedded;
  readonly rig: GatewayRig;
  readonly url: string;
  readonly problems: string[];
  /** How processes ended that were not closed. */
  readonly ends: string[];
  starts: number;
}

async function open({ startsFail = 0, ...own }: Partial<EmbeddedSpec> & { startsFail?: number } = {}): Promise<Opened> {
  const problems: string[] = [];
  const opened = { problems, ends: [] as string[], starts: 0 };
  const embedded = await openEmbedded({
    spec: { model: '/models/tiny.gguf', runtime: folder, contextTokens: 600, threads: 1, idleMs: 60_000, ...own },
    start: (hello, ended) => {
      opened.starts += 1;
      if (opened.starts <= startsFail) throw new Error('spawn ENOMEM');
      const note: typeof ended = (how, untaken) => {
        opened.ends.push(how);
        ended(how, untaken);
      };
      return startServing({ program: compiled.path('model-main.ts'), hello, env: {}, ended: note });
    },
    problem: (message, error) => problems.push(`${message}: ${(error as Error).message}`),
  });
  closing.push(() => embedded.close());
  const rig = await openGatewayRig({
    primary: {
      behave: () => ({ kind: 'error', status: 429, type: 'rate_limit_error', headers: { 'retry-after': '600' } }),
    },
    local: null,
  });
  closing.push(async () => {
    await rig.close();
    expect(rig.problems).toEqual([]);
  });
  rig.gateway.setUpstreams([primaryAt(rig.primary.url), embedded.upstream]);
  return Object.assign(opened, { embedded, rig, url: rig.url });
}

const primaryAt = (baseUrl: string): Upstream => ({
  ...{ name: 'primary', kind: 'anthropic', baseUrl, dialects: ['messages'], fallback: false, keepWarm: false },
  ...{ apiKey: null, model: null, contextTokens: null, concurrency: null },
});

/** What an agent of Messages hears, in text, and how it ended. */
async function ask(
  { url }: { readonly url: string },
  content: string,
  signal?: AbortSignal,
): Promise<{ text: string; end: string }> {
  const response = await fetch(`${url}/v1/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'k', 'anthropic-version': '2023-06-01' },
    body: JSON.stringify({ model: 'm', max_tokens: 99, stream: true, messages: [{ role: 'user', content }] }),
    ...(signal && { signal }),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const reader = dialects.messages.reader();
  const events = framesOf(bytes).flatMap((frame) => reader.push(frame));
  const text = events.flatMap((event) => (event.kind === 'text' ? event.text : [])).join('');
  const last = events.at(-1)?.kind;
  return last === 'end' ? { text, end: last } : { text, end: bytes.toString() };
}

const pidIn = ({ text }: { readonly text: string }): number => Number(/answers (\d+)/.exec(text)?.[1]);

describe('the embedded model', () => {
  it('is loaded for the first question that nobody else answers, and stays', async () => {
    const opened = await open();
    expect(opened.starts).toBe(0);
    const first = await ask(opened, 'hello');
    expect(first).toMatchObject({ text: expect.stringMatching(/^The embedded model answers \d+ true$/), end: 'end' });
    expect(pidIn(first)).not.toBe(process.pid);
    expect(pidIn(await ask(opened, 'again'))).toBe(pidIn(first));
    expect(opened.starts).toBe(1);
  });

  it('that dies in the middle of its answer takes nobody along: a new process goes on where it stopped', async () => {
    const opened = await open();
    for (const times of [1, 2, 3]) {
      const got = await ask(opened, 'die');
      expect(got).toMatchObject({ text: expect.stringMatching(/^The embedded model answers \d+ true$/), end: 'end' });
      expect(opened.ends).toHaveLength(times);
    }
    expect(opened.problems[0]).toMatch(/^the embedded model ended: ended with SIGABRT/);
  });

  it('stands behind everybody else in a gateway that runs', async () => {
    const { rig } = await open();
    const [upstream] = rig.gateway.status().upstreams;
    const running = await runGateway({
      spec: {
        ...{ host: '127.0.0.1', port: 0, agents: [], tokenRequired: false, pauseMs: 0, stateDirectory: null },
        upstreams: [primaryAt(upstream?.address ?? '')],
      },
      discover: false,
      embedded: { model: '/models/tiny.gguf', runtime: folder, contextTokens: 600, threads: 1, idleMs: 60_000 },
      startModel: (hello, ended) => startServing({ program: compiled.path('model-main.ts'), hello, env: {}, ended }),
      clock: systemClock,
      problem: () => expect.unreachable(),
    });
    closing.push(() => running.close());
    expect((await ask({ url: running.url }, 'hello')).text).toMatch(/^The embedded model answers/);
    expect(running.status().upstreams.map(({ name, answered }) => [name, answered])).toEqual([
      ['primary', 0],
      ['embedded', 1],
    ]);
  });

  it('is unloaded when nobody needs it, and that is no problem', async () => {
    const opened = await open({ idleMs: 1 });
    const first = pidIn(await ask(opened, 'hello'));
    while (opened.ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(opened.ends).toEqual(['ended with 0']);
    expect(pidIn(await ask(opened, 'hello'))).not.toBe(first);
    expect(opened.problems).toEqual([]);
  });

  it.each([
    ['runtime', { runtime: tmpdir() }, 'the package @fugood/llama.node is not installed'],
    ['model', { model: '/models/broken.gguf' }, '/models/broken.gguf: this is no model'],
  ])('without its %s says so, in the honest error that the agent gets', async (_, own, why) => {
    const opened = await open(own);
    const direct = await say(opened, 'hello', opened.embedded.upstream.apiKey ?? '');
    expect([direct.status, await direct.text()]).toEqual([500, expect.stringContaining(why)]);
    expect((await ask(opened, 'hello')).end).toContain('rate_limit_error');
  });

  it('knows nothing of where we were started', async () => {
    expect((await ask(await open(), 'surroundings')).text.trim()).toBe('/');
  });

  it('that cannot be started costs the agent nothing but its help, and is tried again', async () => {
    const opened = await open({ startsFail: 1 });
    expect((await ask(opened, 'hello')).text).toMatch(/^The embedded model answers/);
    expect(opened.problems).toEqual(['the embedded model could not be started: spawn ENOMEM']);
  });

  it('answers nobody but its gateway', async () => {
    const opened = await open();
    expect((await say(opened, 'hello', 'guessed')).status).toBe(401);
  });

  it('gets a conversation that fits: what is too long is shortened first', async () => {
    const opened = await open();
    const direct = await say(opened, 'word '.repeat(700), opened.embedded.upstream.apiKey ?? '');
    expect(await direct.json()).toMatchObject({ error: { type: 'exceed_context_size_error', n_ctx: 600 } });
  });

  it('goes on to the next question when the agent of the first one has gone', async () => {
    const opened = await open();
    const leave = new AbortController();
    const gone = ask(opened, 'hang', leave.signal).catch((error: Error) => error.name);
    while (opened.rig.gateway.status().failovers === 0) await new Promise((resolve) => setImmediate(resolve));
    leave.abort();
    expect(await gone).toBe('AbortError');
    expect((await ask(opened, 'hello')).end).toBe('end');
  });
});

/** Asked directly, as a neighbour on this machine could. */
function say({ embedded }: Opened, content: string, token: string): Promise<Response> {
  return fetch(`${embedded.upstream.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, connection: 'close' },
    body: JSON.stringify({ messages: [{ role: 'user', content }] }),
  });
}
