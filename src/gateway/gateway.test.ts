import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { type GatewayRig, openGatewayRig, type RigOptions } from '../testing/gateway-rig.ts';
import { systemClock } from '../host/clock.ts';
import { anthropicClient, askStreaming, openaiClient } from '../testing/model-clients.ts';
import type { FakeBehaviour, FakeDialect } from '../testing/model-server.ts';

let rig: GatewayRig;
afterEach(async () => {
  await rig.close();
  expect(rig.problems).toEqual([]);
});

const open = async (options?: RigOptions): Promise<GatewayRig> => {
  rig = await openGatewayRig(options);
  return rig;
};

const DIALECTS: readonly FakeDialect[] = ['messages', 'chat', 'responses'];
const PATHS = { messages: '/v1/messages', chat: '/v1/chat/completions', responses: '/v1/responses' } as const;
const LOCAL = 'And the local model answers.';
/** Short for what must run out; the local model has two and a half times as long. */
const QUICK = { headMs: 900, firstMs: 900, stallMs: 900 };

interface Raw {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

function send(
  url: string,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      'x-api-key': 'k',
      ...options.headers,
    };
    const request = httpRequest(
      `${url}${path}`,
      { method: options.method ?? 'POST', headers, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
        );
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(options.body);
  });
}

const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const ASK = JSON.stringify({ model: 'claude-test', max_tokens: 10, messages: [{ role: 'user', content: 'hi' }] });
const SSE_ASK = JSON.stringify({ ...(JSON.parse(ASK) as object), stream: true });

describe('a healthy upstream', () => {
  it('gets the very bytes of the caller, and the caller gets the very bytes of the answer', async () => {
    await open();
    const odd = `{ "model":"claude-test",  "max_tokens": 10,\n"messages":[{"role":"user","content":"h\\u00e9 ☃"}], "unknown_field":[1.0, 2e3] }`;
    for (const body of [odd, SSE_ASK]) {
      const direct = await send(rig.primary.url, PATHS.messages, { body });
      const passed = await send(rig.url, PATHS.messages, { body });
      expect(hash(passed.body)).toBe(hash(direct.body));
      expect(passed.headers['content-type']).toBe(direct.headers['content-type']);
      expect(rig.primary.calls.at(-1)?.bytes.toString()).toBe(body);
    }
    expect(rig.events).toEqual([]);
  });

  it('sees the caller’s key and betas, and not what is of the connection', async () => {
    await open({ primary: { key: 'k' } });
    await send(rig.url, `${PATHS.messages}?beta=true`, {
      body: ASK,
      headers: { 'anthropic-beta': 'b1', connection: 'keep-alive, x-odd' },
    });
    const { headers, objection } = rig.primary.calls[0] ?? {};
    expect(objection).toBeNull();
    expect(headers?.['anthropic-beta']).toBe('b1');
    expect(headers?.host).toBe(new URL(rig.primary.url).host);
  });

  it.each(DIALECTS)('streams through the official SDK in %s, tool calls included', async (dialect) => {
    const saying = {
      text: ['It is', ' sunny.'],
      tools: [{ id: 'toolu_1', name: 'get_weather', input: ['{"city":', ' "Par', 'is"}'] }],
    };
    await open({ primary: { dialects: [dialect], saying } });
    const got = await askStreaming(dialect, rig.url, { tools: true });
    expect(got.text).toBe('It is sunny.');
    expect(got.tools).toEqual([{ name: 'get_weather', input: { city: 'Paris' } }]);
  });

  it('passes everything that is no conversation to the provider of its kind', async () => {
    await open();
    const models = await anthropicClient(rig.url).models.list();
    expect(models.data[0]?.id).toBe('fake-model');
    expect((await send(rig.url, '/v1/unknown', { body: '{}' })).status).toBe(404);
  });

  it('is stood in for when it cannot say its models or count tokens, but nothing that changes something is sent twice', async () => {
    await open({ primaryUpstream: { baseUrl: 'http://127.0.0.1:9' } });
    const models = await send(rig.url, '/v1/models', { method: 'GET' });
    expect([models.status, models.headers['x-selfheal-upstream']]).toEqual([200, 'local']);
    const count = await send(rig.url, '/v1/messages/count_tokens', { body: ASK });
    expect([count.status, count.headers['x-selfheal-upstream']]).toEqual([200, 'estimate']);
    expect((JSON.parse(count.body.toString()) as { input_tokens: number }).input_tokens).toBeGreaterThan(0);
    expect((await send(rig.url, '/v1/messages/batches', { body: '{}' })).status).toBe(502);
  });

  it('passes a mistake of the caller back to him, untouched', async () => {
    await open();
    const body = JSON.stringify({ model: 'claude-test', messages: [] });
    const direct = await send(rig.primary.url, PATHS.messages, { body });
    const passed = await send(rig.url, PATHS.messages, { body });
    expect([passed.status, hash(passed.body)]).toEqual([400, hash(direct.body)]);
    expect(rig.local.calls).toEqual([]);
  });
});

const BEFORE: readonly [string, FakeBehaviour][] = [
  ['a rate limit', { kind: 'error', status: 429, type: 'rate_limit_error', headers: { 'retry-after': '600' } }],
  ['an overload', { kind: 'error', status: 529, type: 'overloaded_error' }],
  ['a broken server', { kind: 'error', status: 500, type: 'api_error' }],
  ['a reset connection', { kind: 'reset' }],
  ['an error before the first content', { kind: 'error-first' }],
  ['silence', { kind: 'silence' }],
  ['nothing but pings', { kind: 'pings' }],
  ['a web page', { kind: 'page' }],
];
const WITHIN: readonly [string, FakeBehaviour][] = [
  ['an error event', { kind: 'error-within', after: 5 }],
  ['a cut connection', { kind: 'cut', after: 5 }],
  ['an end without the terminal event', { kind: 'short', after: 5 }],
  ['a stall', { kind: 'stall', after: 5 }],
];

describe.each(DIALECTS)('failover in %s', (dialect) => {
  const primary = { dialects: [dialect] };

  it.each(BEFORE)('%s before the answer is healed by the local model', async (_, behaviour) => {
    await open({ primary: { ...primary, behave: () => behaviour }, deadlines: QUICK });
    const got = await askStreaming(dialect, rig.url);
    expect(got.text).toBe(LOCAL);
    expect(rig.local.calls.map((call) => [call.objection, call.body['model']])).toEqual([[null, 'tiny']]);
    expect(rig.events.at(-1)).toMatchObject({ kind: 'failover', from: 'primary', to: 'local', moment: 'before' });
  });

  it.each(WITHIN)('%s within the answer is continued by the local model', async (_, behaviour) => {
    await open({ primary: { ...primary, behave: () => behaviour }, deadlines: QUICK });
    const got = await askStreaming(dialect, rig.url);
    const [begun] = got.text.split(LOCAL);
    expect(got.text.endsWith(LOCAL)).toBe(true);
    expect('Hello from the fake.'.startsWith(begun ?? '?') && begun !== '').toBe(true);
    expect(rig.local.calls.map((call) => call.objection)).toEqual([null]);
    expect(rig.events.at(-1)).toMatchObject({ kind: 'failover', to: 'local', moment: 'within' });
  });

  it('never delivers half a tool call', async () => {
    const saying = {
      text: ['Let me look.'],
      tools: [{ id: 't1', name: 'get_weather', input: ['{"city":', '"Paris"}'] }],
    };
    const frames = { messages: 8, chat: 4, responses: 9 }[dialect];
    await open({
      primary: { ...primary, saying, behave: () => ({ kind: 'cut', after: frames }) },
      local: { dialects: [dialect], saying: { tools: saying.tools } },
    });
    const got = await askStreaming(dialect, rig.url, { tools: true });
    expect(got).toMatchObject({ text: 'Let me look.', tools: [{ name: 'get_weather', input: { city: 'Paris' } }] });
  });

  it('leaves out what the other model says once more', async () => {
    await open({
      primary: {
        ...primary,
        saying: { text: ['The answer is ', 'forty', '-two, of course.'] },
        behave: () => ({ kind: 'cut', after: { messages: 5, chat: 3, responses: 6 }[dialect] }),
      },
      local: { dialects: [dialect], saying: { text: ['The answer', ' is forty', '-two.'] } },
    });
    expect((await askStreaming(dialect, rig.url)).text).toBe('The answer is forty-two.');
  });

  it('ends with an honest error when nobody can answer, and never with a normal end', async () => {
    await open({ primary: { ...primary, behave: () => ({ kind: 'cut', after: 5 }) }, local: null });
    await expect(askStreaming(dialect, rig.url)).rejects.toThrow(/model upstream|cut|stream/i);
    expect(rig.gateway.status().lost).toBe(1);
  });

  it.each(['cut', 'short'] as const)('an answer in one piece that is %s comes whole from elsewhere', async (kind) => {
    await open({ primary: { ...primary, behave: () => ({ kind }) } });
    const input = [{ role: 'user', content: 'hi' }];
    const { status, body } = await send(rig.url, PATHS[dialect], {
      body: JSON.stringify({
        model: 'm',
        max_tokens: 5,
        ...(dialect === 'responses' ? { input } : { messages: input }),
      }),
    });
    expect(status).toBe(200);
    expect(body.toString()).toContain(LOCAL);
  });
});

describe('limits', () => {
  const limited = (headers: Record<string, string>): FakeBehaviour => ({
    kind: 'error',
    status: 429,
    type: 'rate_limit_error',
    headers,
  });

  it('are obeyed: while one lasts the provider is not asked again', async () => {
    await open({ primary: { behave: () => limited({ 'retry-after': '600' }) } });
    for (let i = 0; i < 5; i++) expect((await askStreaming('messages', rig.url)).text).toBe(LOCAL);
    expect(rig.primary.calls).toHaveLength(1);
    expect(rig.events).toHaveLength(1);
    expect(rig.gateway.status()).toMatchObject({
      failovers: 5,
      upstreams: [{ open: [{ kind: 'limited' }] }, { open: [] }],
    });
  });

  it('are remembered over a restart, but for one look', async () => {
    await open({ primary: { behave: () => limited({ 'retry-after': '600' }) } });
    await askStreaming('messages', rig.url);
    await rig.restart();
    for (let i = 0; i < 3; i++) await askStreaming('messages', rig.url);
    expect(rig.primary.calls).toHaveLength(2);
  });

  it('are over when they said so: the first look is healed if it fails, and the return is told', async () => {
    await open({
      primary: { behave: (_, i) => (i === 0 ? limited({ 'retry-after-ms': '150' }) : { kind: 'answer' }) },
    });
    await askStreaming('messages', rig.url);
    await new Promise((resolve) => setTimeout(resolve, 160));
    expect((await askStreaming('messages', rig.url)).text).toBe('Hello from the fake.');
    expect(rig.events.map((e) => e.kind)).toEqual(['failover', 'restored']);
  });

  it('are waited out when they are short, and the agent gets the better model', async () => {
    await open({
      primary: { behave: (_, i) => (i === 0 ? limited({ 'retry-after-ms': '120' }) : { kind: 'answer' }) },
      spec: { pauseMs: 5_000 },
    });
    const answers = await Promise.all([1, 2, 3].map(() => askStreaming('messages', rig.url)));
    expect(answers.map((a) => a.text)).toEqual(Array(3).fill('Hello from the fake.'));
    expect(rig.local.calls).toEqual([]);
    expect(rig.events[0]).toMatchObject({ kind: 'paused' });
  });

  it('are waited out with pings, so that nobody hangs up', async () => {
    await open({
      primary: { behave: (_, i) => (i === 0 ? limited({ 'retry-after-ms': '300' }) : { kind: 'answer' }) },
      spec: { pauseMs: 5_000 },
      deadlines: { pingMs: 50 },
    });
    const { body } = await send(rig.url, PATHS.messages, { body: SSE_ASK });
    expect(body.toString().match(/event: ping/g)?.length).toBeGreaterThan(2);
    expect((await askStreaming('messages', rig.url)).text).toBe('Hello from the fake.');
  });

  it('that nobody can help with are told with the real wait, and the SDK does not hammer', async () => {
    await open({ primary: { behave: () => limited({ 'retry-after': '7200' }) }, local: null });
    await expect(askStreaming('messages', rig.url, { retries: 3, key: 'k' })).rejects.toMatchObject({
      status: 429,
    });
    const { status, headers, body } = await send(rig.url, PATHS.messages, { body: ASK });
    expect([status, headers['x-should-retry']]).toEqual([429, 'false']);
    expect(Number(headers['retry-after'])).toBeGreaterThan(7_000);
    expect(body.toString()).toContain('rate_limit_error');
    expect(rig.primary.calls).toHaveLength(1);
  });

  it('of one model leave the other models of the provider alone', async () => {
    await open({
      primary: {
        behave: (call) =>
          call.body['model'] === 'claude-test' ? limited({ 'retry-after': '60' }) : { kind: 'answer' },
      },
    });
    await askStreaming('messages', rig.url);
    const other = await send(rig.url, PATHS.messages, { body: ASK.replace('claude-test', 'claude-other') });
    expect(other.body.toString()).toContain('Hello from the fake.');
  });
});

describe('quotas', () => {
  it('are told with what is left and when it will be spent, and are remembered over a restart', async () => {
    let [now, remaining] = [Date.parse('2026-05-01T12:00:00Z'), 60_000];
    const headers = {
      'anthropic-ratelimit-tokens-limit': '100000',
      'anthropic-ratelimit-tokens-reset': '2026-05-01T20:00:00Z',
    };
    const options = { dialects: ['messages'] as const, headers };
    await open({ primary: options, clock: { ...systemClock, now: () => now } });
    for (let i = 0; i < 12; i++) {
      Object.assign(headers, { 'anthropic-ratelimit-tokens-remaining': String((remaining -= 1_000)) });
      await send(rig.url, PATHS.messages, { body: ASK });
      now += 10_000;
    }
    const quotaOf = () => rig.gateway.status().upstreams[0]?.quotas[0];
    expect(quotaOf()).toMatchObject({ dimension: 'tokens', used: 0.52, resetAt: Date.parse('2026-05-01T20:00:00Z') });
    // 48 % are left, at 1 % in ten seconds.
    expect(Math.round(((quotaOf()?.exhaustedAt ?? 0) - now) / 10_000)).toBe(47);
    await rig.restart();
    await send(rig.url, PATHS.messages, { body: ASK });
    expect(quotaOf()?.exhaustedAt).not.toBeNull();
    now = Date.parse('2026-05-01T20:00:01Z');
    expect(quotaOf()).toBeUndefined();
  });
});

describe('keys', () => {
  it('of the caller go to his provider and to nobody else', async () => {
    await open({ primary: { behave: () => ({ kind: 'error', status: 500 }) } });
    await askStreaming('messages', rig.url, { key: 'sk-ant-secret-of-the-caller' });
    expect(rig.primary.calls[0]?.headers.authorization).toBe('Bearer sk-ant-secret-of-the-caller');
    expect(JSON.stringify(rig.local.calls[0]?.headers)).not.toContain('secret');
  });

  it('of the configuration replace those of the caller', async () => {
    await open({ primary: { key: 'sk-configured' }, primaryUpstream: { apiKey: 'sk-configured' } });
    expect((await askStreaming('messages', rig.url, { key: 'sk-other' })).text).toBe('Hello from the fake.');
  });

  it('that are refused close the provider for that key only', async () => {
    await open({ primary: { key: 'good-key' } });
    expect((await askStreaming('messages', rig.url, { key: 'bad-key' })).text).toBe(LOCAL);
    expect((await askStreaming('messages', rig.url, { key: 'good-key' })).text).toBe('Hello from the fake.');
    expect(rig.events[0]).toMatchObject({ kind: 'failover', verdict: { kind: 'auth', status: 401 } });
  });
});

describe('strangers', () => {
  it('are refused: other hosts, web pages, absolute addresses, unknown paths, wrong tokens', async () => {
    await open({
      spec: { agents: [{ service: 'agent', token: 'token-of-the-agent', fallback: 'auto' }], tokenRequired: true },
    });
    const path = `/a/token-of-the-agent${PATHS.messages}`;
    const statusOf = async (p: string, headers: Record<string, string> = {}) =>
      (await send(rig.url, p, { body: ASK, headers })).status;
    expect(await statusOf(path)).toBe(200);
    expect(await statusOf(path, { host: 'evil.example:80' })).toBe(421);
    expect(await statusOf(path, { origin: 'https://evil.example' })).toBe(403);
    expect(await statusOf(path, { 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await statusOf(PATHS.messages)).toBe(401);
    expect(await statusOf(`/a/token-of-the-agenT${PATHS.messages}`)).toBe(401);
    expect(await statusOf('/a/token-of-the-agent/etc/passwd')).toBe(404);
    expect(rig.primary.calls).toHaveLength(1);
  });

  it('cannot send it elsewhere with headers, nor with too large bodies', async () => {
    await open();
    await send(rig.url, PATHS.messages, {
      body: ASK,
      headers: { 'x-portkey-custom-host': 'http://127.0.0.1:1', 'x-forwarded-host': 'evil' },
    });
    expect(rig.primary.calls).toHaveLength(1);
    const { status } = await send(rig.url, PATHS.messages, { headers: { 'content-length': String(33 * 1024 * 1024) } });
    expect(status).toBe(413);
  });

  it('cannot make it read without end: error bodies are cut', async () => {
    await open({
      primary: { behave: () => ({ kind: 'error', status: 500, body: { error: { message: 'x'.repeat(3_000_000) } } }) },
      local: null,
    });
    const { status, body } = await send(rig.url, PATHS.messages, { body: ASK });
    expect(status).toBe(500);
    expect(body.length).toBeLessThanOrEqual(1024 * 1024);
  });
});

describe('policy', () => {
  const agents = [{ service: 'agent', token: 'token-of-the-agent', fallback: 'ask' as const }];

  it('ask: nobody weaker answers until a route says so, and then until its time', async () => {
    await open({
      primary: {
        behave: () => ({ kind: 'error', status: 429, type: 'rate_limit_error', headers: { 'retry-after': '60' } }),
      },
      spec: { agents },
    });
    const url = `${rig.url}/a/token-of-the-agent`;
    await expect(askStreaming('messages', url)).rejects.toMatchObject({ status: 429 });
    rig.gateway.setRoutes([{ from: 'primary', to: 'local', until: Date.now() + 60_000 }]);
    expect((await askStreaming('messages', url)).text).toBe(LOCAL);
    rig.gateway.setRoutes([{ from: 'primary', to: 'local', until: Date.now() - 1 }]);
    await expect(askStreaming('messages', url)).rejects.toMatchObject({ status: 429 });
    expect(rig.events[0]).toMatchObject({ service: 'agent', to: null });
  });

  it('proves a route by a real answer', async () => {
    await open({ primary: { behave: () => ({ kind: 'reset' }) }, spec: { agents } });
    const prove = async () => (await send(rig.url, '/-/route?from=primary&to=local', { method: 'GET' })).status;
    expect(await prove()).toBe(503);
    rig.gateway.setRoutes([{ from: 'primary', to: 'local', until: Date.now() + 60_000 }]);
    expect(await prove()).toBe(200);
    expect(rig.local.calls).toHaveLength(1);
    await rig.local.close();
    expect(await prove()).toBe(200);
  });
});

describe('translation on the way', () => {
  it.each([
    ['messages', ['chat']],
    ['messages', ['responses']],
    ['chat', ['messages']],
    ['chat', ['responses']],
    ['responses', ['messages']],
    ['responses', ['chat']],
  ] as const)('an agent that speaks %s is served by an upstream that speaks %s', async (asked, spoken) => {
    const saying = {
      text: ['Sunny', ' today.'],
      tools: [{ id: 't1', name: 'get_weather', input: ['{"city":', '"Paris"}'] }],
    };
    await open({
      primary: { dialects: [asked], behave: () => ({ kind: 'error', status: 529, type: 'overloaded_error' }) },
      local: { dialects: spoken, saying },
    });
    const got = await askStreaming(asked, rig.url, { tools: true });
    expect(got).toMatchObject({ text: 'Sunny today.', tools: [{ name: 'get_weather', input: { city: 'Paris' } }] });
    expect(rig.local.calls.map((call) => [call.dialect, call.objection])).toEqual([[spoken[0], null]]);
    const whole = await (asked === 'messages'
      ? anthropicClient(rig.url).messages.create({
          model: 'm',
          max_tokens: 9,
          messages: [{ role: 'user', content: 'x' }],
        })
      : asked === 'chat'
        ? openaiClient(rig.url).chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'x' }] })
        : openaiClient(rig.url).responses.create({ model: 'm', input: 'x' }));
    expect(JSON.stringify(whole)).toContain('Sunny today.');
  });

  it('a server that does not know the path of a dialect is asked in another one', async () => {
    await open({
      primary: { dialects: ['responses'], behave: () => ({ kind: 'error', status: 529 }) },
      local: { dialects: ['chat'] },
      localUpstream: { dialects: ['responses', 'chat'] },
    });
    expect((await askStreaming('responses', rig.url)).text).toBe(LOCAL);
    expect((await askStreaming('responses', rig.url)).text).toBe(LOCAL);
  });

  it('a too long conversation is trimmed to what the local model takes', async () => {
    const words = (n: number): string => 'word '.repeat(n);
    await open({
      primary: { behave: () => ({ kind: 'error', status: 529 }) },
      local: {
        behave: (call) =>
          call.bytes.length > 6_000
            ? {
                kind: 'error',
                status: 400,
                body: {
                  error: {
                    code: 400,
                    type: 'exceed_context_size_error',
                    message: 'the request exceeds the available context size',
                    n_prompt_tokens: 9_000,
                    n_ctx: 2_048,
                  },
                },
              }
            : { kind: 'answer' },
      },
    });
    const messages = Array.from({ length: 21 }, (_, i) => ({
      role: i % 2 === 0 ? ('user' as const) : ('assistant' as const),
      content: `${i} ${words(400)}`,
    }));
    const message = await anthropicClient(rig.url).messages.create({ model: 'm', max_tokens: 100, messages });
    expect(JSON.stringify(message.content)).toContain(LOCAL);
    const sent = JSON.stringify(rig.local.calls.at(-1)?.body);
    expect(sent).toContain('left out');
    expect(sent).toContain('20 word');
  });
});

describe('requests that cannot move', () => {
  it.each([
    ['a tool of the provider', 'messages', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }],
    ['an answer that the provider stores', 'responses', { previous_response_id: 'resp_1' }],
  ] as const)('%s: the error is passed on', async (_, dialect, extra) => {
    await open({ primary: { dialects: [dialect], behave: () => ({ kind: 'error', status: 503, type: 'api_error' }) } });
    const ask = dialect === 'messages' ? JSON.parse(ASK) : { model: 'm', input: 'x' };
    const { status } = await send(rig.url, PATHS[dialect], { body: JSON.stringify({ ...ask, ...extra }) });
    expect(status).toBe(503);
    expect(rig.local.calls).toEqual([]);
  });

  it.each([
    ['a tool of the provider', 'messages', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }],
    ['an answer that the provider stores', 'responses', { previous_response_id: 'resp_1' }],
  ] as const)('%s: while its provider is limited, the real wait is told', async (_, dialect, extra) => {
    const limit = { kind: 'error', status: 429, type: 'rate_limit_error', headers: { 'retry-after': '600' } } as const;
    await open({ primary: { dialects: [dialect], behave: () => limit } });
    const ask = dialect === 'messages' ? JSON.parse(ASK) : { model: 'm', input: 'x' };
    expect((await send(rig.url, PATHS[dialect], { body: JSON.stringify(ask) })).status).toBe(200);
    const asked = rig.local.calls.length;
    for (const routes of [[], [{ from: 'primary', to: 'local', until: Number.MAX_SAFE_INTEGER }]]) {
      rig.gateway.setRoutes(routes);
      const { status, headers } = await send(rig.url, PATHS[dialect], { body: JSON.stringify({ ...ask, ...extra }) });
      expect([status, Number(headers['retry-after']) > 590]).toEqual([429, true]);
    }
    expect(rig.local.calls).toHaveLength(asked);
  });

  it('what is no JSON, and would have to be changed, is refused for good', async () => {
    await open({ primaryUpstream: { model: 'other' } });
    const { status, body, headers } = await send(rig.url, PATHS.messages, { body: '{"model": "m", ' });
    expect([status, headers['retry-after'], headers['x-should-retry']]).toEqual([400, undefined, 'false']);
    expect(body.toString()).toContain('the body of the request is no JSON object');
    expect(rig.primary.calls).toEqual([]);
  });

  it('an answer that must have a form is not stuck together from two', async () => {
    await open({ primary: { dialects: ['chat'], behave: () => ({ kind: 'cut', after: 3 }) } });
    const stream = openaiClient(rig.url).chat.completions.stream({
      model: 'm',
      messages: [{ role: 'user', content: 'x' }],
      response_format: { type: 'json_object' },
    });
    await expect(stream.finalChatCompletion()).rejects.toThrow();
    expect(rig.local.calls).toEqual([]);
  });
});

it('an agent that hangs up frees the upstream', async () => {
  await open({ primary: { behave: () => ({ kind: 'stall', after: 5 }) } });
  const stream = anthropicClient(rig.url).messages.stream({
    model: 'm',
    max_tokens: 9,
    messages: [{ role: 'user', content: 'x' }],
  });
  await new Promise<void>((resolve) => stream.once('text', () => resolve()));
  stream.abort();
  await expect(stream.done()).rejects.toThrow();
  expect((await send(rig.url, '/-/health', { method: 'GET' })).status).toBe(200);
  expect(rig.local.calls).toEqual([]);
});
