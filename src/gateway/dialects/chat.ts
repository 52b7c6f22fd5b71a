// OpenAI Chat Completions: https://platform.openai.com/docs/api-reference/chat, as also spoken by most other providers
// and by every local server.

import { compact, isObject, listAt, numberAt, objectAt, parseJson, textAt } from '../json.ts';
import { imageOf, imageUrl, resultText } from '../parts.ts';
import { frame } from '../sse.ts';
import type {
  Answer,
  AnswerEvent,
  AnswerPart,
  Conversation,
  Dialect,
  Frame,
  Glance,
  Json,
  JsonObject,
  Part,
  Progress,
  ResultPart,
  StopReason,
  StreamReader,
  StreamWriter,
  Tool,
  ToolChoice,
  Turn,
} from './contract.ts';

export const chat: Dialect = {
  name: 'chat',
  path: '/v1/chat/completions',
  markers: [
    '"error"',
    '"tool_calls"',
    '"function_call"',
    '"finish_reason":"',
    '"finish_reason": "',
    '[DONE]',
    'event: error',
    'event:error',
  ],
  glance,
  boundTo,
  readRequest,
  writeRequest,
  readAnswer,
  writeAnswer,
  reader: () => new Reader(),
  writer: (from) => new Writer(from),
  progress,
  errorBody: ({ type, message }) => ({ error: { message, type, param: null, code: type } }),
  errorFrame: (trouble) => frame(null, chat.errorBody(trouble)),
  terminal: frame(null, '[DONE]'),
  ping: ': waiting\n\n',
};
export default chat;

// ---------------------------------------------------------------- requests

function boundTo(body: JsonObject): string | null {
  if (body['store'] === true) return 'the provider is asked to store it';
  if (isObject(body['audio'])) return 'it asks for speech';
  return (numberAt(body, 'n') ?? 1) > 1 ? 'it asks for several answers' : null;
}

function readRequest(body: JsonObject): Conversation {
  const messages = listAt(body, 'messages');
  const system = messages.filter(isSystem).map((message) => plainText(message));
  return {
    model: textAt(body, 'model') ?? '',
    system: system.length === 0 ? null : system.join('\n\n'),
    turns: turnsOf(messages.filter((message) => !isSystem(message))),
    tools: listAt(body, 'tools').flatMap(readTool),
    toolChoice: readChoice(body['tool_choice']),
    parallelTools: body['parallel_tool_calls'] !== false,
    maxTokens: numberAt(body, 'max_completion_tokens') ?? numberAt(body, 'max_tokens'),
    temperature: numberAt(body, 'temperature'),
    topP: numberAt(body, 'top_p'),
    stop: stopTexts(body['stop']),
    stream: body['stream'] === true,
  };
}

function isSystem(message: Json): boolean {
  const role = textAt(message, 'role');
  return role === 'system' || role === 'developer';
}

function plainText(message: Json): string {
  const content = isObject(message) ? message['content'] : undefined;
  if (typeof content === 'string') return content;
  return listAt(message, 'content')
    .map((part) => textAt(part, 'text') ?? '')
    .join('');
}

/** Results follow each other as messages of their own; elsewhere they stand in one turn. */
function turnsOf(messages: readonly Json[]): readonly Turn[] {
  const turns: Turn[] = [];
  for (const message of messages) {
    const turn = readTurn(message);
    const last = turns.at(-1);
    const joins = last?.role === 'user' && turn.role === 'user' && last.parts.every((p) => p.kind === 'tool-result');
    if (last && joins) turns[turns.length - 1] = { role: 'user', parts: [...last.parts, ...turn.parts] };
    else turns.push(turn);
  }
  return turns;
}

function readTurn(message: Json): Turn {
  const role = textAt(message, 'role');
  if (role === 'tool' || role === 'function') {
    const id = textAt(message, 'tool_call_id') ?? textAt(message, 'name') ?? '';
    const content: ResultPart[] = [{ kind: 'text', text: plainText(message) }];
    return { role: 'user', parts: [{ kind: 'tool-result', id, content, isError: false }] };
  }
  const parts = contentParts(message);
  if (role !== 'assistant') return { role: 'user', parts };
  return { role: 'assistant', parts: [...parts, ...listAt(message, 'tool_calls').map(readCall)] };
}

function contentParts(message: Json): readonly Part[] {
  const content = isObject(message) ? message['content'] : undefined;
  if (typeof content === 'string') return content === '' ? [] : [{ kind: 'text', text: content }];
  return listAt(message, 'content').flatMap((part): Part[] => {
    const url = textAt(objectAt(part, 'image_url'), 'url');
    if (url !== null) return [{ kind: 'image', image: imageOf(url) }];
    const text = textAt(part, 'text') ?? textAt(part, 'refusal');
    return text === null ? [] : [{ kind: 'text', text }];
  });
}

function readCall(call: Json): Part & { kind: 'tool-call' } {
  const f = objectAt(call, 'function');
  return {
    kind: 'tool-call',
    id: textAt(call, 'id') ?? '',
    name: textAt(f, 'name') ?? '',
    input: textAt(f, 'arguments') ?? '',
  };
}

function readTool(tool: Json): Tool[] {
  const f = objectAt(tool, 'function');
  const name = textAt(f, 'name');
  if (name === null) return [];
  return [{ name, description: textAt(f, 'description'), schema: objectAt(f, 'parameters') }];
}

function readChoice(choice: Json | undefined): ToolChoice | null {
  if (choice === 'auto' || choice === 'none' || choice === 'required') return choice;
  const name = textAt(objectAt(choice, 'function'), 'name');
  return name === null ? null : { name };
}

function stopTexts(stop: Json | undefined): readonly string[] {
  if (typeof stop === 'string') return [stop];
  return Array.isArray(stop) ? (stop as readonly Json[]).filter((s): s is string => typeof s === 'string') : [];
}

function writeRequest(c: Conversation): JsonObject {
  const system = c.system === null ? [] : [{ role: 'system', content: c.system }];
  return compact({
    model: c.model,
    messages: [...system, ...c.turns.flatMap(writeTurn)],
    tools: c.tools.length === 0 ? null : c.tools.map(writeTool),
    tool_choice: c.tools.length === 0 ? null : writeChoice(c.toolChoice),
    parallel_tool_calls: c.tools.length === 0 || c.parallelTools ? null : false,
    max_tokens: c.maxTokens,
    temperature: c.temperature,
    top_p: c.topP,
    stop: c.stop.length === 0 ? null : c.stop,
    stream: c.stream ? true : null,
    stream_options: c.stream ? { include_usage: true } : null,
  });
}

/** Results come first, each as its own message; pictures in results follow as a message of the user, for results are text only. */
function writeTurn({ role, parts }: Turn): readonly JsonObject[] {
  if (role === 'assistant') {
    const text = parts.flatMap((part) => (part.kind === 'text' ? part.text : [])).join('');
    const calls = parts.flatMap((part) => (part.kind === 'tool-call' ? [writeCall(part)] : []));
    return [
      compact({
        role,
        content: text === '' && calls.length > 0 ? null : text,
        tool_calls: calls.length === 0 ? null : calls,
      }),
    ];
  }
  const results = parts.flatMap((part) => (part.kind === 'tool-result' ? [part] : []));
  const shown = [...results.flatMap(({ content }) => content.filter((p) => p.kind === 'image')), ...parts];
  const content = shown.flatMap((part): JsonObject[] => {
    if (part.kind === 'text') return [{ type: 'text', text: part.text }];
    return part.kind === 'image' ? [{ type: 'image_url', image_url: { url: imageUrl(part.image) } }] : [];
  });
  const only = content.length === 1 ? textAt(content[0], 'text') : null;
  return [
    ...results.map(({ id, content: c, isError }) => ({
      role: 'tool',
      tool_call_id: id,
      content: resultText(c, isError),
    })),
    ...(content.length === 0 ? [] : [{ role: 'user', content: only ?? content }]),
  ];
}

function writeCall({ id, name, input }: Part & { kind: 'tool-call' }): JsonObject {
  return { id, type: 'function', function: { name, arguments: input } };
}

function writeTool({ name, description, schema }: Tool): JsonObject {
  return { type: 'function', function: compact({ name, description, parameters: schema }) };
}

function writeChoice(choice: ToolChoice | null): Json {
  return choice === null || typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.name } };
}

// ---------------------------------------------------------------- answers

const STOPS: Readonly<Record<string, StopReason>> = {
  stop: 'end',
  length: 'length',
  tool_calls: 'tool-call',
  function_call: 'tool-call',
  content_filter: 'refusal',
};
const WORDS: Readonly<Record<StopReason, string>> = {
  end: 'stop',
  length: 'length',
  'tool-call': 'tool_calls',
  'stop-sequence': 'stop',
  refusal: 'content_filter',
};

function readAnswer(body: JsonObject): Answer {
  const choice = listAt(body, 'choices')[0] ?? null;
  const message = objectAt(choice, 'message');
  const text = textAt(message, 'content') ?? textAt(message, 'refusal') ?? '';
  const usage = objectAt(body, 'usage');
  return {
    id: textAt(body, 'id') ?? '',
    model: textAt(body, 'model') ?? '',
    parts: [...(text === '' ? [] : [{ kind: 'text' as const, text }]), ...listAt(message, 'tool_calls').map(readCall)],
    stop: STOPS[textAt(choice, 'finish_reason') ?? ''] ?? 'end',
    usage: { input: numberAt(usage, 'prompt_tokens') ?? 0, output: numberAt(usage, 'completion_tokens') ?? 0 },
  };
}

function writeAnswer(answer: Answer): JsonObject {
  const text = answer.parts.flatMap((part) => (part.kind === 'text' ? part.text : [])).join('');
  const calls = answer.parts.filter((part): part is AnswerPart & { kind: 'tool-call' } => part.kind === 'tool-call');
  const message: JsonObject = {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    ...(calls.length > 0 && { tool_calls: calls.map(writeCall) }),
  };
  return {
    id: ownId(answer.id),
    object: 'chat.completion',
    created: 0,
    model: answer.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: WORDS[answer.stop] }],
    usage: writeUsage(answer.usage),
  };
}

const ownId = (id: string): string => (id.startsWith('chatcmpl-') ? id : `chatcmpl-${id.replace(/^[a-z]+_/, '')}`);

function writeUsage({ input, output }: { input: number; output: number }): JsonObject {
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
}

// ---------------------------------------------------------------- streams

function glance({ event, data }: Frame): Glance {
  if (data.trim() === '[DONE]') return 'end';
  if (event === 'error') return 'error';
  const body = parseJson(data);
  if (isObject(body) && body['error'] !== undefined && body['error'] !== null) return 'error';
  let glance: Glance = 'quiet';
  for (const choice of listAt(body, 'choices')) {
    const delta = objectAt(choice, 'delta');
    if (listAt(delta, 'tool_calls').length > 0 || isObject(delta['function_call'])) return 'tool';
    if (textAt(choice, 'finish_reason')) glance = 'stop';
    else if (textAt(delta, 'content') || textAt(delta, 'refusal')) glance = 'text';
    else if (glance === 'quiet' && (textAt(delta, 'reasoning_content') || textAt(delta, 'reasoning')))
      glance = 'reasoning';
  }
  return glance;
}

class Reader implements StreamReader {
  #started = false;
  #call = -1;

  push(frameGiven: Frame): readonly AnswerEvent[] {
    if (frameGiven.data.trim() === '[DONE]') return [{ kind: 'end' }];
    const body = parseJson(frameGiven.data);
    if (frameGiven.event === 'error' || (isObject(body) && isObject(body['error']))) return [{ kind: 'error', body }];
    const events: AnswerEvent[] = [];
    if (!this.#started && isObject(body)) {
      this.#started = true;
      events.push({ kind: 'start', id: textAt(body, 'id') ?? '', model: textAt(body, 'model') ?? '' });
    }
    const choice = listAt(body, 'choices')[0] ?? null;
    events.push(...this.#delta(objectAt(choice, 'delta')));
    const reason = textAt(choice, 'finish_reason');
    if (reason !== null) events.push({ kind: 'stop', reason: STOPS[reason] ?? 'end' });
    const usage = objectAt(body, 'usage');
    const [input, output] = [numberAt(usage, 'prompt_tokens'), numberAt(usage, 'completion_tokens')];
    if (input !== null && output !== null) events.push({ kind: 'usage', usage: { input, output } });
    return events;
  }

  #delta(delta: JsonObject): readonly AnswerEvent[] {
    const events: AnswerEvent[] = [];
    const reasoning = textAt(delta, 'reasoning_content') ?? textAt(delta, 'reasoning');
    if (reasoning) events.push({ kind: 'reasoning', text: reasoning });
    const text = textAt(delta, 'content') ?? textAt(delta, 'refusal');
    if (text) events.push({ kind: 'text', text });
    for (const call of listAt(delta, 'tool_calls')) {
      const f = objectAt(call, 'function');
      const index = numberAt(call, 'index') ?? this.#call;
      const name = textAt(f, 'name');
      // A new call has a new number; servers that number nothing name it instead.
      if (index !== this.#call || (numberAt(call, 'index') === null && name)) {
        this.#call = index;
        events.push({ kind: 'tool-call', id: textAt(call, 'id') ?? '', name: name ?? '' });
      }
      const text = textAt(f, 'arguments');
      if (text) events.push({ kind: 'arguments', text });
    }
    return events;
  }
}

class Writer implements StreamWriter {
  #id: string;
  #model: string;
  #started: boolean;
  #call = -1;
  #stop: StopReason = 'end';
  #usage: { input: number; output: number };
  readonly #spent: number;

  constructor(from?: Progress) {
    this.#started = from?.started ?? false;
    this.#id = from?.id ?? '';
    this.#model = from?.model ?? '';
    this.#usage = { input: from?.usage.input ?? 0, output: 0 };
    this.#spent = from?.usage.output ?? 0;
  }

  write(event: AnswerEvent): string {
    switch (event.kind) {
      case 'start':
        if (this.#started) return '';
        this.#id = ownId(event.id);
        this.#model = event.model;
        return this.#begin();
      case 'text':
        return event.text === '' ? '' : `${this.#begin()}${this.#chunk({ content: event.text })}`;
      case 'reasoning':
        return event.text === '' ? '' : `${this.#begin()}${this.#chunk({ reasoning_content: event.text })}`;
      case 'tool-call':
        this.#call += 1;
        return `${this.#begin()}${this.#tool({ id: event.id || `call_${this.#call}`, type: 'function', function: { name: event.name, arguments: '' } })}`;
      case 'arguments':
        return event.text === '' ? '' : this.#tool({ function: { arguments: event.text } });
      case 'usage':
        this.#usage = { ...this.#usage, ...event.usage };
        return '';
      case 'stop':
        this.#stop = event.reason;
        return '';
      case 'error':
        return frame(null, event.body);
      case 'end':
        return `${this.#begin()}${this.#chunk({}, WORDS[this.#stop])}${this.#usageChunk()}${chat.terminal}`;
    }
  }

  #begin(): string {
    if (this.#started) return '';
    this.#started = true;
    return this.#chunk({ role: 'assistant', content: '' });
  }

  #tool(call: JsonObject): string {
    return this.#chunk({ tool_calls: [{ index: this.#call, ...call }] });
  }

  #chunk(delta: JsonObject, finish: string | null = null): string {
    return frame(null, { ...this.#head(), choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
  }

  #usageChunk(): string {
    const usage = writeUsage({ input: this.#usage.input, output: this.#spent + this.#usage.output });
    return frame(null, { ...this.#head(), choices: [], usage });
  }

  #head(): JsonObject {
    return { id: this.#id, object: 'chat.completion.chunk', created: 0, model: this.#model };
  }
}

function progress(frames: readonly Frame[]): Progress {
  const reader = new Reader();
  let [id, model, text, started] = ['', '', '', false];
  let usage = { input: 0, output: 0 };
  for (const event of frames.flatMap((f) => reader.push(f))) {
    if (event.kind === 'start') [id, model, started] = [event.id, event.model, true];
    else if (event.kind === 'text') text += event.text;
    else if (event.kind === 'usage') usage = { ...usage, ...event.usage };
  }
  // Text after reasoning needs no new block here: nothing is ever open but text.
  return {
    started,
    id,
    model,
    text,
    blocks: 0,
    open: null,
    openText: '',
    openId: '',
    openPart: 'open',
    usage,
    sequence: 0,
    items: [],
  };
}
