// The official SDKs as agents use them, reduced to one question: what did the agent get in the end?

import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import type { FakeDialect } from './model-server.ts';

/** What an agent has after one streamed answer. */
export interface Got {
  readonly text: string;
  readonly tools: readonly { readonly name: string; readonly input: unknown }[];
  readonly stop: string | null;
}

export interface ClientOptions {
  readonly key?: string;
  /** Retries of the SDK itself. Default: none. */
  readonly retries?: number;
  readonly tools?: boolean;
}

const WEATHER = {
  type: 'object' as const,
  properties: { city: { type: 'string' as const } },
  required: ['city'],
};

/** Asks once, streaming, through the SDK of the dialect. Rejects with what the SDK throws. */
export async function askStreaming(dialect: FakeDialect, url: string, options: ClientOptions = {}): Promise<Got> {
  if (dialect === 'messages') return askMessages(url, options);
  return dialect === 'chat' ? askChat(url, options) : askResponses(url, options);
}

export function anthropicClient(url: string, { key = 'sk-ant-caller', retries = 0 }: ClientOptions = {}): Anthropic {
  return new Anthropic({ apiKey: key, baseURL: url, maxRetries: retries, logLevel: 'off' });
}

export function openaiClient(url: string, { key = 'sk-caller', retries = 0 }: ClientOptions = {}): OpenAI {
  return new OpenAI({ apiKey: key, baseURL: `${url}/v1`, maxRetries: retries, logLevel: 'off' });
}

async function askMessages(url: string, options: ClientOptions): Promise<Got> {
  const stream = anthropicClient(url, options).messages.stream({
    model: 'claude-test',
    max_tokens: 256,
    messages: [{ role: 'user', content: 'Say hello.' }],
    ...(options.tools && { tools: [{ name: 'get_weather', description: 'Weather', input_schema: WEATHER }] }),
  });
  const message = await stream.finalMessage();
  return {
    text: message.content.flatMap((block) => (block.type === 'text' ? block.text : [])).join(''),
    tools: message.content.flatMap((b) => (b.type === 'tool_use' ? [{ name: b.name, input: b.input }] : [])),
    stop: message.stop_reason,
  };
}

async function askChat(url: string, options: ClientOptions): Promise<Got> {
  const stream = openaiClient(url, options).chat.completions.stream({
    model: 'gpt-test',
    messages: [{ role: 'user', content: 'Say hello.' }],
    ...(options.tools && {
      tools: [
        { type: 'function' as const, function: { name: 'get_weather', description: 'Weather', parameters: WEATHER } },
      ],
    }),
  });
  const { choices } = await stream.finalChatCompletion();
  const message = choices[0]?.message;
  return {
    text: message?.content ?? '',
    tools: (message?.tool_calls ?? []).flatMap((call) =>
      call.type === 'function'
        ? [{ name: call.function.name, input: JSON.parse(call.function.arguments) as unknown }]
        : [],
    ),
    stop: choices[0]?.finish_reason ?? null,
  };
}

async function askResponses(url: string, options: ClientOptions): Promise<Got> {
  const stream = openaiClient(url, options).responses.stream({
    model: 'gpt-test',
    input: 'Say hello.',
    store: false,
    ...(options.tools && {
      tools: [
        { type: 'function' as const, name: 'get_weather', description: 'Weather', parameters: WEATHER, strict: false },
      ],
    }),
  });
  const response = await stream.finalResponse();
  return {
    text: response.output_text,
    tools: response.output.flatMap((item) =>
      item.type === 'function_call' ? [{ name: item.name, input: JSON.parse(item.arguments) as unknown }] : [],
    ),
    stop: response.status ?? null,
  };
}
