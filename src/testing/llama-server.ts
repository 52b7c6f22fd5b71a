// A small chat server on a real llama.cpp runtime, as local servers are seen from outside: `node llama-server.js RUNTIME
// MODEL`. RUNTIME is the entry file of @fugood/llama.node. A process of its own: a broken model aborts it.

import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Completion {
  readonly content?: string;
  readonly text: string;
  readonly tool_calls?: readonly {
    readonly id?: string;
    readonly function: { readonly name: string; readonly arguments: string };
  }[];
  readonly tokens_predicted: number;
  readonly tokens_evaluated: number;
}
interface Runtime {
  loadModel(
    options: object,
  ): Promise<{ completion(options: object, each: (token: { content?: string }) => void): Promise<Completion> }>;
}

const CONTEXT = 8_192;
const [runtime = '', model = ''] = process.argv.slice(2);
const loaded = (await import(runtime)) as Runtime & { default?: Runtime };
// One thread: the model is tiny, and on a busy machine more of them only wait for each other.
const context = await (loaded.default ?? loaded).loadModel({ model, n_ctx: CONTEXT, n_threads: 1, n_gpu_layers: 0 });

interface Asked {
  readonly stream?: boolean;
  readonly model?: string;
  readonly messages: readonly {
    readonly content?: unknown;
    readonly tool_calls?: readonly { readonly function: { readonly arguments: string } }[];
  }[];
  readonly tools?: readonly object[];
  readonly max_tokens?: number;
}

async function complete(asked: Asked, response: ServerResponse): Promise<void> {
  const head = { id: 'chatcmpl-llama', created: 1, model: asked.model ?? 'scripted' };
  const event = (delta: object, finish: string | null = null): void =>
    void response.write(
      `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`,
    );
  if (asked.stream) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    event({ role: 'assistant', content: null });
  }
  let sent = '';
  const options = {
    messages: asked.messages.map(plain),
    jinja: true,
    n_predict: Math.min(asked.max_tokens ?? 256, 256),
    temperature: 0,
    ...(asked.tools && { tools: asked.tools, tool_choice: 'auto' }),
  };
  const result = await context.completion(options, ({ content }) => {
    if (!asked.stream || asked.tools || !content || !content.startsWith(sent)) return;
    if (content.length > sent.length) event({ content: content.slice(sent.length) });
    sent = content;
  });
  const calls = (result.tool_calls ?? []).map((call, index) => ({
    index,
    id: call.id || `call_${index}`,
    type: 'function',
    function: call.function,
  }));
  const text = (calls.length > 0 ? (result.content ?? '') : (result.content ?? result.text)).trim();
  const finish = calls.length > 0 ? 'tool_calls' : 'stop';
  const usage = {
    prompt_tokens: result.tokens_evaluated,
    completion_tokens: result.tokens_predicted,
    total_tokens: result.tokens_evaluated + result.tokens_predicted,
  };
  if (asked.stream) {
    if (text.length > sent.length) event({ content: text.slice(sent.length) });
    for (const call of calls) event({ tool_calls: [call] });
    event({}, finish);
    response.write(`data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [], usage })}\n\n`);
    response.end('data: [DONE]\n\n');
    return;
  }
  const message = { role: 'assistant', content: text || null, ...(calls.length > 0 && { tool_calls: calls }) };
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(
    JSON.stringify({
      ...head,
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason: finish }],
      usage,
    }),
  );
}

/** The template takes text. */
function plain(message: Asked['messages'][number]): object {
  const { content } = message;
  const text = Array.isArray(content)
    ? content.map((part: { text?: string }) => part.text ?? '').join('')
    : (content ?? '');
  return { ...message, content: text };
}

let turn: Promise<void> = Promise.resolve();
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const say = (body: object, status = 200): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.url === '/props')
      return say({ default_generation_settings: { n_ctx: CONTEXT }, model_alias: 'scripted' });
    if (request.url === '/v1/models') return say({ data: [{ id: 'scripted', owned_by: 'llamacpp' }] });
    if (request.url !== '/v1/chat/completions')
      return say({ error: { code: 404, message: 'File Not Found', type: 'not_found_error' } }, 404);
    turn = turn
      .then(() => complete(JSON.parse(Buffer.concat(chunks).toString('utf8')) as Asked, response))
      .catch((error: Error) => say({ error: { code: 500, message: error.message, type: 'server_error' } }, 500));
  });
});
server.listen(0, '127.0.0.1', () => console.log(`listening on ${(server.address() as AddressInfo).port}`));
process.on('disconnect', () => process.exit(0));
