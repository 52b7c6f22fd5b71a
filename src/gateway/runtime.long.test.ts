// The whole way with nothing faked behind the fallback: a real llama.cpp with a model whose weights are set by hand,
// asked through the official SDKs and the Vercel AI SDK, in an agent's loop with a tool call, failing over in the middle.
// Runtime and AI SDK are fetched into .cache/ in fixed versions (32 MB, no install scripts); without a registry this is skipped.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startServing } from '../host/serving.ts';
import { type Compiled, compile } from '../testing/compiled.ts';
import { type GatewayRig, openGatewayRig } from '../testing/gateway-rig.ts';
import { anthropicClient, openaiClient } from '../testing/model-clients.ts';
import type { FakeBehaviour, FakeDialect } from '../testing/model-server.ts';
import { SCRIPT, writeScriptedModel } from '../testing/scripted-gguf.ts';
import { discovered } from './discover.ts';
import { type Embedded, openEmbedded } from './embedded/host.ts';
import type { Upstream } from './contract.ts';

const PACKAGES = {
  '@fugood/llama.node': '1.7.15',
  [`@fugood/node-llama-linux-${process.arch}`]: '1.7.15',
  ai: '6.0.325',
  '@ai-sdk/anthropic': '3.0.140',
  '@ai-sdk/openai': '3.0.141',
};
const folder = fileURLToPath(new URL('../../.cache/llama-runtime', import.meta.url));
const isThere = fetchPackages();

let compiled: Compiled;
let server: ChildProcess | null = null;
let embedded: Embedded | null = null;
const ends: string[] = [];
let port = '';
let rig: GatewayRig;

/** False when the registry cannot be reached. */
function fetchPackages(): boolean {
  if (existsSync(join(folder, 'done'))) return true;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: PACKAGES }));
  try {
    const flags = ['--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund', '--loglevel=error'];
    execFileSync('npm', ['install', ...flags], { cwd: folder, stdio: 'ignore', timeout: 180_000 });
    writeFileSync(join(folder, 'done'), '');
    return true;
  } catch {
    return false;
  }
}

/** A module of the fetched packages. */
async function fetched<T>(name: string): Promise<T> {
  const path = createRequire(join(folder, 'package.json')).resolve(name);
  return (await import(pathToFileURL(path).href)) as T;
}

const TOOL = {
  name: 'get_weather',
  description: 'The weather of a city',
  schema: { type: 'object' as const, properties: { city: { type: 'string' as const } }, required: ['city'] },
};
const BEGUN = 'Let me look that up. ';

/** The provider breaks off in the middle of its first answer, and refuses everything after it. */
const failing =
  (after: number) =>
  (_: unknown, index: number): FakeBehaviour =>
    index === 0
      ? { kind: 'cut', saying: { text: [BEGUN, 'never', ' sent'] }, after }
      : { kind: 'error', status: 429, type: 'rate_limit_error', headers: { 'retry-after': '600' } };
/** Frames up to the first piece of text. */
const AFTER: Readonly<Record<FakeDialect, number>> = { messages: 4, chat: 2, responses: 5 };

const WAYS = ['as a server that was found', 'embedded'] as const;

describe.skipIf(!isThere).each(WAYS)('a real model behind the gateway, %s', (way) => {
  const isEmbedded = way === 'embedded';
  beforeAll(async () => {
    compiled = await compile(['testing/llama-server.ts', 'model-main.ts']);
    const model = join(folder, 'scripted.gguf');
    writeScriptedModel(model);
    if (isEmbedded) {
      embedded = await openEmbedded({
        spec: { model, runtime: folder, contextTokens: 8_192, threads: 1, idleMs: 600_000 },
        start: (hello, ended) => startServing({ program: compiled.path('model-main.ts'), hello, env: {}, ended }),
        problem: (message, error) => ends.push(`${message}: ${String(error)}`),
      });
      return;
    }
    server = spawn(process.execPath, [compiled.path('testing/llama-server.ts'), folder, model], {
      stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
    });
    port = await new Promise((resolve, reject) => {
      server?.stdout?.on('data', (chunk: Buffer) => {
        const found = /listening on (\d+)/.exec(chunk.toString());
        if (found) resolve(found[1] ?? '');
      });
      server?.once('exit', (code) => reject(new Error(`the runtime ended with ${code}`)));
    });
  });
  afterAll(async () => {
    server?.kill('SIGKILL');
    await embedded?.close();
    expect(ends).toEqual([]);
    await compiled?.remove();
  });

  let local: Upstream;
  beforeEach(async () => {
    if (embedded) {
      local = embedded.upstream;
      return;
    }
    const found = await discovered({ upstreams: [], discover: true, ownPort: 0, ports: [Number(port)] });
    local = found[0] as Upstream;
  });
  afterEach(async () => {
    await rig?.close();
    expect(rig?.problems ?? []).toEqual([]);
  });

  async function open(dialect: FakeDialect): Promise<string> {
    rig = await openGatewayRig({ primary: { dialects: [dialect], behave: failing(AFTER[dialect]) }, local: null });
    rig.gateway.setUpstreams([...primaryOf(rig, dialect), local]);
    return rig.url;
  }

  it.skipIf(isEmbedded)('is found with its model, its context and what it speaks', () => {
    expect(local).toMatchObject({ name: `llama.cpp-${port}`, model: 'scripted', contextTokens: 8_192, fallback: true });
  });

  it('finishes an agent’s loop of the Anthropic SDK', async () => {
    const client = anthropicClient(await open('messages'));
    const tools = [{ name: TOOL.name, description: TOOL.description, input_schema: TOOL.schema }];
    const ask = { model: 'claude-test', max_tokens: 200, tools };
    const question = { role: 'user' as const, content: 'How is the weather in Paris?' };
    const first = await client.messages.stream({ ...ask, messages: [question] }).finalMessage();
    expect(first.stop_reason).toBe('tool_use');
    expect(first.content).toMatchObject([
      { type: 'text', text: BEGUN },
      { type: 'tool_use', name: TOOL.name, input: SCRIPT.tool.arguments },
    ]);
    const call = first.content.find((block) => block.type === 'tool_use');
    const result = { type: 'tool_result' as const, tool_use_id: call?.id ?? '', content: 'sunny' };
    const second = await client.messages
      .stream({
        ...ask,
        messages: [question, { role: 'assistant', content: first.content }, { role: 'user', content: [result] }],
      })
      .finalMessage();
    expect(second.content).toMatchObject([{ type: 'text', text: SCRIPT.closing }]);
    expect(rig.gateway.status()).toMatchObject({ spliced: 1, lost: 0 });
  });

  it('finishes an agent’s loop of the OpenAI SDK, in chat', async () => {
    const client = openaiClient(await open('chat'));
    const tools = [
      {
        type: 'function' as const,
        function: { name: TOOL.name, description: TOOL.description, parameters: TOOL.schema },
      },
    ];
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'How is the weather in Paris?' }];
    const first = await client.chat.completions.stream({ model: 'gpt-test', tools, messages }).finalChatCompletion();
    const message = first.choices[0]?.message;
    const call = message?.tool_calls?.[0];
    expect([message?.content, call?.type === 'function' && JSON.parse(call.function.arguments)]).toEqual([
      BEGUN,
      SCRIPT.tool.arguments,
    ]);
    messages.push(
      { role: 'assistant', content: message?.content ?? '', tool_calls: message?.tool_calls ?? [] },
      { role: 'tool', tool_call_id: call?.id ?? '', content: 'sunny' },
    );
    const second = await client.chat.completions.stream({ model: 'gpt-test', tools, messages }).finalChatCompletion();
    expect(second.choices[0]?.message.content).toBe(SCRIPT.closing);
  });

  it('finishes an agent’s loop of the OpenAI SDK, in responses', async () => {
    const client = openaiClient(await open('responses'));
    const tools = [
      {
        type: 'function' as const,
        name: TOOL.name,
        description: TOOL.description,
        parameters: TOOL.schema,
        strict: false,
      },
    ];
    const question = { role: 'user' as const, content: 'How is the weather in Paris?' };
    const first = await client.responses
      .stream({ model: 'gpt-test', tools, store: false, input: [question] })
      .finalResponse();
    const call = first.output.find((item) => item.type === 'function_call');
    expect([first.output_text, JSON.parse(call?.arguments ?? '{}')]).toEqual([BEGUN, SCRIPT.tool.arguments]);
    const made = {
      type: 'function_call' as const,
      call_id: call?.call_id ?? '',
      name: TOOL.name,
      arguments: call?.arguments ?? '',
    };
    const result = { type: 'function_call_output' as const, call_id: call?.call_id ?? '', output: 'sunny' };
    const second = await client.responses
      .stream({ model: 'gpt-test', tools, store: false, input: [question, made, result] })
      .finalResponse();
    expect(second.output_text).toBe(SCRIPT.closing);
  });

  it.each(['messages', 'responses'] as const)(
    'finishes the loop that the AI SDK runs by itself, in %s',
    async (dialect) => {
      const url = await open(dialect);
      const ai = await fetched<AiSdk>('ai');
      const model =
        dialect === 'messages'
          ? (await fetched<Provider<'createAnthropic'>>('@ai-sdk/anthropic')).createAnthropic({
              baseURL: `${url}/v1`,
              apiKey: 'k',
            })('claude-test')
          : (await fetched<Provider<'createOpenAI'>>('@ai-sdk/openai')).createOpenAI({
              baseURL: `${url}/v1`,
              apiKey: 'k',
            })('gpt-test');
      const cities: unknown[] = [];
      const execute = async (input: unknown): Promise<string> => {
        cities.push(input);
        return 'sunny';
      };
      const result = ai.streamText({
        model,
        prompt: 'How is the weather in Paris?',
        maxRetries: 0,
        stopWhen: ai.stepCountIs(3),
        tools: {
          [TOOL.name]: ai.tool({ description: TOOL.description, inputSchema: ai.jsonSchema(TOOL.schema), execute }),
        },
        ...(dialect === 'responses' && { providerOptions: { openai: { store: false } } }),
      });
      expect(await result.text).toBe(SCRIPT.closing);
      expect(cities).toEqual([SCRIPT.tool.arguments]);
    },
  );
});

function primaryOf({ primary }: GatewayRig, dialect: FakeDialect): readonly Upstream[] {
  const kind = dialect === 'messages' ? 'anthropic' : 'openai';
  const baseUrl = kind === 'anthropic' ? primary.url : `${primary.url}/v1`;
  const common = {
    apiKey: null,
    model: null,
    fallback: false,
    contextTokens: null,
    concurrency: null,
    keepWarm: false,
  };
  return [{ name: 'primary', kind, baseUrl, dialects: [dialect], ...common }];
}

/** What is used of the AI SDK, which is no dependency of ours. */
interface AiSdk {
  streamText(options: object): { readonly text: Promise<string> };
  stepCountIs(n: number): unknown;
  tool(options: object): unknown;
  jsonSchema(schema: object): unknown;
}
type Provider<K extends string> = Readonly<
  Record<K, (options: { baseURL: string; apiKey: string }) => (model: string) => unknown>
>;
