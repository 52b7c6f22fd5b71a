// Answers and errors of model providers as they were seen on the wire. Written out by hand, so that the gateway's own
// writers are not tested against themselves.

export type FakeDialect = 'messages' | 'chat' | 'responses';

/** What a fake model says. */
export interface FakeSaying {
  /** Pieces of text, each an event of its own. */
  readonly text?: readonly string[];
  readonly thinking?: readonly string[];
  readonly tools?: readonly {
    readonly id: string;
    readonly name: string;
    /** JSON text, in pieces. */
    readonly input: readonly string[];
  }[];
}

const sse = (event: string | null, data: unknown): string =>
  `${event === null ? '' : `event: ${event}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

/** Frames of a streamed answer, the terminal event last. */
export function answerFrames(dialect: FakeDialect, saying: FakeSaying, model: string): readonly string[] {
  if (dialect === 'messages') return messagesFrames(saying, model);
  return dialect === 'chat' ? chatFrames(saying, model) : responsesFrames(saying, model);
}

function messagesFrames({ text = [], thinking = [], tools = [] }: FakeSaying, model: string): readonly string[] {
  const frames: string[] = [];
  const add = (type: string, data: object): void => void frames.push(sse(type, { type, ...data }));
  const usage = { input_tokens: 12, output_tokens: 1 };
  add('message_start', {
    message: {
      id: 'msg_fake',
      type: 'message',
      role: 'assistant',
      model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage,
    },
  });
  let index = 0;
  if (thinking.length > 0) {
    add('content_block_start', { index, content_block: { type: 'thinking', thinking: '', signature: '' } });
    for (const piece of thinking)
      add('content_block_delta', { index, delta: { type: 'thinking_delta', thinking: piece } });
    add('content_block_delta', { index, delta: { type: 'signature_delta', signature: 'c2ln' } });
    add('content_block_stop', { index: index++ });
  }
  if (text.length > 0) {
    add('content_block_start', { index, content_block: { type: 'text', text: '' } });
    frames.push('event: ping\ndata: {"type": "ping"}\n\n');
    for (const piece of text) add('content_block_delta', { index, delta: { type: 'text_delta', text: piece } });
    add('content_block_stop', { index: index++ });
  }
  for (const { id, name, input } of tools) {
    add('content_block_start', { index, content_block: { type: 'tool_use', id, name, input: {} } });
    for (const piece of ['', ...input])
      add('content_block_delta', { index, delta: { type: 'input_json_delta', partial_json: piece } });
    add('content_block_stop', { index: index++ });
  }
  const stop = tools.length > 0 ? 'tool_use' : 'end_turn';
  add('message_delta', { delta: { stop_reason: stop, stop_sequence: null }, usage: { output_tokens: 7 } });
  add('message_stop', {});
  return frames;
}

function chatFrames({ text = [], thinking = [], tools = [] }: FakeSaying, model: string): readonly string[] {
  const head = {
    id: 'chatcmpl-fake',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model,
    system_fingerprint: 'fp',
  };
  const chunk = (delta: object, finish: string | null = null): string =>
    sse(null, { ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
  return [
    chunk({ role: 'assistant', content: '' }),
    ...thinking.map((piece) => chunk({ reasoning_content: piece })),
    ...text.map((piece) => chunk({ content: piece })),
    ...tools.flatMap(({ id, name, input }, index) => [
      chunk({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] }),
      ...input.map((piece) => chunk({ tool_calls: [{ index, function: { arguments: piece } }] })),
    ]),
    chunk({}, tools.length > 0 ? 'tool_calls' : 'stop'),
    sse(null, { ...head, choices: [], usage: { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19 } }),
    sse(null, '[DONE]'),
  ];
}

function responsesFrames({ text = [], tools = [] }: FakeSaying, model: string): readonly string[] {
  const frames: string[] = [];
  let sequence = 0;
  const add = (type: string, data: object): void =>
    void frames.push(sse(type, { type, sequence_number: sequence++, ...data }));
  const response = responsesBody([], model, 'in_progress');
  add('response.created', { response });
  add('response.in_progress', { response });
  const items: object[] = [];
  if (text.length > 0) {
    const place = { item_id: 'msg_fake', output_index: 0, content_index: 0 };
    const part = (t: string) => ({ type: 'output_text', annotations: [], logprobs: [], text: t });
    const item = { id: 'msg_fake', type: 'message', role: 'assistant' };
    add('response.output_item.added', { output_index: 0, item: { ...item, status: 'in_progress', content: [] } });
    add('response.content_part.added', { ...place, part: part('') });
    for (const piece of text) add('response.output_text.delta', { ...place, delta: piece, logprobs: [] });
    add('response.output_text.done', { ...place, text: text.join(''), logprobs: [] });
    add('response.content_part.done', { ...place, part: part(text.join('')) });
    items.push({ ...item, status: 'completed', content: [part(text.join(''))] });
    add('response.output_item.done', { output_index: 0, item: items[0] });
  }
  for (const { id, name, input } of tools) {
    const place = { item_id: `fc_${id}`, output_index: items.length };
    const item = { id: `fc_${id}`, type: 'function_call', call_id: id, name };
    add('response.output_item.added', {
      output_index: items.length,
      item: { ...item, status: 'in_progress', arguments: '' },
    });
    for (const piece of input) add('response.function_call_arguments.delta', { ...place, delta: piece });
    add('response.function_call_arguments.done', { ...place, name, arguments: input.join('') });
    const done = { ...item, status: 'completed', arguments: input.join('') };
    add('response.output_item.done', { output_index: items.length, item: done });
    items.push(done);
  }
  add('response.completed', { response: responsesBody(items, model, 'completed') });
  return frames;
}

function responsesBody(output: readonly object[], model: string, status: string): object {
  const usage = {
    input_tokens: 12,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 7,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 19,
  };
  return {
    id: 'resp_fake',
    object: 'response',
    created_at: 1_700_000_000,
    status,
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model,
    output,
    parallel_tool_calls: true,
    temperature: 1,
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    usage: status === 'completed' ? usage : null,
  };
}

/** The same answer in one piece. */
export function answerWhole(dialect: FakeDialect, saying: FakeSaying, model: string): object {
  const { text = [], tools = [] } = saying;
  const said = text.join('');
  if (dialect === 'messages')
    return {
      id: 'msg_fake',
      type: 'message',
      role: 'assistant',
      model,
      content: [
        ...(said ? [{ type: 'text', text: said }] : []),
        ...tools.map(({ id, name, input }) => ({
          type: 'tool_use',
          id,
          name,
          input: JSON.parse(input.join('') || '{}') as object,
        })),
      ],
      stop_reason: tools.length > 0 ? 'tool_use' : 'end_turn',
      stop_sequence: null,
      usage: { input_tokens: 12, output_tokens: 7 },
    };
  if (dialect === 'responses') {
    const last = responsesFrames(saying, model).at(-1) ?? '';
    return (JSON.parse(last.slice(last.indexOf('{'))) as { response: object }).response;
  }
  const calls = tools.map(({ id, name, input }) => ({
    id,
    type: 'function',
    function: { name, arguments: input.join('') },
  }));
  const message = {
    role: 'assistant',
    content: said || null,
    refusal: null,
    ...(calls.length > 0 && { tool_calls: calls }),
  };
  return {
    id: 'chatcmpl-fake',
    object: 'chat.completion',
    created: 1_700_000_000,
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: calls.length > 0 ? 'tool_calls' : 'stop' }],
    usage: { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19 },
  };
}

export function errorBody(dialect: FakeDialect, type: string, message: string): object {
  if (dialect === 'messages') return { type: 'error', error: { type, message }, request_id: 'req_fake' };
  return { error: { message, type, param: null, code: type } };
}

export function errorFrame(dialect: FakeDialect, type = 'overloaded_error', said?: string): string {
  const message = said ?? 'The server had an error';
  if (dialect === 'messages') return sse('error', errorBody('messages', type, said ?? 'Overloaded'));
  if (dialect === 'chat') return sse(null, errorBody('chat', type, message));
  return sse('error', {
    type: 'error',
    code: type,
    message,
    param: null,
    sequence_number: 9,
  });
}
