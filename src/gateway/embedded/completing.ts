// One question to the embedded model, in the form of Chat Completions, streamed or in one piece.

import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Completion, LoadedModel } from './runtime.ts';

export interface Asked {
  readonly stream?: boolean;
  readonly messages: readonly {
    readonly content?: unknown;
    readonly tool_calls?: readonly { readonly function: { readonly arguments: string } }[];
  }[];
  readonly tools?: readonly object[];
  readonly max_tokens?: number;
  readonly max_completion_tokens?: number;
  readonly temperature?: number;
  readonly top_p?: number;
  readonly stop?: string | readonly string[];
}

export interface Answering {
  readonly model: LoadedModel;
  readonly name: string;
  readonly contextTokens: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** The prompt is longer than the context: said as llama.cpp says it, and the gateway shortens the conversation. */
export class TooLong extends Error {}

/** Resolves when the answer is on its way, or nobody wants it any more. */
export async function complete(asked: Asked, response: ServerResponse, answering: Answering): Promise<void> {
  const { model } = answering;
  const messages = asked.messages.map(plain);
  const tools = asked.tools?.length ? { tools: asked.tools, tool_choice: 'auto' } : {};
  const room = await roomFor(messages, tools, answering);
  if (response.destroyed) return;
  const writer = new Writer(response, answering, asked.stream === true);
  const left = (): void => model.stopCompletion();
  response.once('close', left);
  try {
    const result = await model.completion(
      { messages, jinja: true, ...tools, ...optionsOf(asked), n_predict: Math.min(limitOf(asked) ?? room, room) },
      // With tools the beginning of a call could be taken for text.
      ({ content }) => asked.tools?.length || writer.upTo(content ?? ''),
    );
    writer.end(result);
  } finally {
    response.off('close', left);
  }
}

/** Tokens that are left for the answer. */
async function roomFor(
  messages: readonly object[],
  tools: object,
  { model, contextTokens }: Answering,
): Promise<number> {
  const { prompt } = await model.getFormattedChat(messages, undefined, { jinja: true, ...tools });
  const { tokens } = await model.tokenize(prompt);
  const room = contextTokens - tokens.length - SLACK;
  if (room > 0) return room;
  throw new TooLong(
    `the request (${tokens.length} tokens) exceeds the available context size (${contextTokens} tokens)`,
  );
}
/** For what begins and ends an answer. */
const SLACK = 8;

const limitOf = (asked: Asked): number | undefined => asked.max_completion_tokens ?? asked.max_tokens;

function optionsOf({ temperature, top_p, stop }: Asked): object {
  return {
    ...(temperature !== undefined && { temperature }),
    ...(top_p !== undefined && { top_p }),
    ...(stop !== undefined && { stop: [stop].flat() }),
  };
}

/** Templates take text. */
function plain(message: Asked['messages'][number]): object {
  const { content } = message;
  const parts = Array.isArray(content) ? content : [{ text: content ?? '' }];
  return { ...message, content: parts.map((part: { text?: string }) => part.text ?? '').join('') };
}

/** Writes the answer of one question in the form that was wanted. */
class Writer {
  readonly #response: ServerResponse;
  readonly #head: object;
  readonly #streams: boolean;
  #sent = '';

  constructor(response: ServerResponse, { name, now }: Answering, streams: boolean) {
    [this.#response, this.#streams] = [response, streams];
    this.#head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(now() / 1000), model: name };
    if (!streams) return;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    this.#delta({ role: 'assistant', content: null });
  }

  /** Takes all text so far. */
  upTo(text: string): void {
    if (!this.#streams || !text.startsWith(this.#sent)) return;
    if (text.length > this.#sent.length) this.#delta({ content: text.slice(this.#sent.length) });
    this.#sent = text;
  }

  end(result: Completion): void {
    const calls = (result.tool_calls ?? []).map((call, index) => ({
      ...{ index, id: call.id || `call_${index}`, type: 'function' },
      function: call.function,
    }));
    const text = (calls.length > 0 ? (result.content ?? '') : (result.content ?? result.text)).trim();
    const finish = calls.length > 0 ? 'tool_calls' : result.stopped_limit ? 'length' : 'stop';
    const [input, output] = [result.tokens_evaluated, result.tokens_predicted];
    const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
    if (this.#streams) {
      this.upTo(text);
      for (const call of calls) this.#delta({ tool_calls: [call] });
      this.#delta({}, finish);
      this.#event({ choices: [], usage });
      return void this.#response.end('data: [DONE]\n\n');
    }
    const message = { role: 'assistant', content: text || null, ...(calls.length > 0 && { tool_calls: calls }) };
    const choices = [{ index: 0, message, finish_reason: finish }];
    this.#response.writeHead(200, { 'content-type': 'application/json' });
    this.#response.end(JSON.stringify({ ...this.#head, object: 'chat.completion', choices, usage }));
  }

  #delta(delta: object, finish: string | null = null): void {
    this.#event({ choices: [{ index: 0, delta, finish_reason: finish }] });
  }

  #event(body: object): void {
    this.#response.write(`data: ${JSON.stringify({ ...this.#head, object: 'chat.completion.chunk', ...body })}\n\n`);
  }
}
