// Anthropic Messages: https://platform.claude.com/docs/en/api/messages and .../streaming.

import { compact, inputObject, isObject, listAt, numberAt, objectAt, parseJson, textAt } from '../json.ts';
import { frame } from '../sse.ts';
import type {
  Answer,
  AnswerEvent,
  Conversation,
  Dialect,
  Frame,
  Glance,
  ImageSource,
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

/** The API demands a limit; callers of other dialects need not name one. */
const MAX_TOKENS = 4_096;

export const messages: Dialect = {
  name: 'messages',
  path: '/v1/messages',
  markers: ['event: error', 'event:error', '"error"', '"tool_use"', 'message_delta', 'message_stop', '"ping"'],
  glance,
  boundTo,
  readRequest,
  writeRequest,
  readAnswer,
  writeAnswer,
  reader: () => new Reader(),
  writer: (from) => new Writer(from),
  progress,
  errorBody: ({ type, message }) => ({ type: 'error', error: { type, message } }),
  errorFrame: (trouble) => frame('error', messages.errorBody(trouble)),
  terminal: frame('message_stop', { type: 'message_stop' }),
  ping: frame('ping', { type: 'ping' }),
};
export default messages;

// ---------------------------------------------------------------- requests

/** Tools that run at the provider have effects there: such a request is never sent twice. */
function boundTo(body: JsonObject): string | null {
  const own = listAt(body, 'tools').find(
    (tool) => (textAt(tool, 'type') ?? 'custom') !== 'custom' && !isClientTool(tool),
  );
  if (own) return `the tool ${textAt(own, 'type')} runs at the provider`;
  return listAt(body, 'mcp_servers').length > 0 ? 'the provider talks to MCP servers for it' : null;
}

/** Tools whose form the provider knows, and which the caller runs: https://platform.claude.com/docs/en/agents-and-tools. */
function isClientTool(tool: Json): boolean {
  return /^(?:bash|text_editor|computer|memory)_/.test(textAt(tool, 'type') ?? '');
}

function readRequest(body: JsonObject): Conversation {
  const choice = objectAt(body, 'tool_choice');
  return {
    model: textAt(body, 'model') ?? '',
    system: systemText(body['system']),
    turns: listAt(body, 'messages').map(readTurn),
    tools: listAt(body, 'tools').flatMap(readTool),
    toolChoice: readChoice(choice),
    parallelTools: choice['disable_parallel_tool_use'] !== true,
    maxTokens: numberAt(body, 'max_tokens'),
    temperature: numberAt(body, 'temperature'),
    topP: numberAt(body, 'top_p'),
    stop: listAt(body, 'stop_sequences').filter((s): s is string => typeof s === 'string'),
    stream: body['stream'] === true,
  };
}

function systemText(system: Json | undefined): string | null {
  if (typeof system === 'string') return system;
  if (!Array.isArray(system)) return null;
  return (system as readonly Json[]).map((part) => textAt(part, 'text') ?? '').join('\n\n');
}

function readTurn(message: Json): Turn {
  const role = textAt(message, 'role') === 'assistant' ? 'assistant' : 'user';
  const content = isObject(message) ? message['content'] : undefined;
  if (typeof content === 'string') return { role, parts: [{ kind: 'text', text: content }] };
  return { role, parts: listAt(message, 'content').flatMap(readPart) };
}

/** Thinking, citations and server tools have no counterpart and stay behind. */
function readPart(block: Json): Part[] {
  switch (textAt(block, 'type')) {
    case 'text':
      return [{ kind: 'text', text: textAt(block, 'text') ?? '' }];
    case 'image': {
      const image = readImage(objectAt(block, 'source'));
      return image ? [{ kind: 'image', image }] : [];
    }
    case 'tool_use': {
      const input = JSON.stringify(objectAt(block, 'input'));
      return [{ kind: 'tool-call', id: textAt(block, 'id') ?? '', name: textAt(block, 'name') ?? '', input }];
    }
    case 'tool_result':
      return [
        {
          kind: 'tool-result',
          id: textAt(block, 'tool_use_id') ?? '',
          content: readResult(isObject(block) ? block['content'] : undefined),
          isError: isObject(block) && block['is_error'] === true,
        },
      ];
    default:
      return [];
  }
}

function readResult(content: Json | undefined): readonly ResultPart[] {
  if (typeof content === 'string') return [{ kind: 'text', text: content }];
  if (!Array.isArray(content)) return [];
  return (content as readonly Json[])
    .flatMap(readPart)
    .filter((part): part is ResultPart => part.kind === 'text' || part.kind === 'image');
}

function readImage(source: JsonObject): ImageSource | null {
  const url = textAt(source, 'url');
  if (url !== null) return { kind: 'url', url };
  const base64 = textAt(source, 'data');
  return base64 === null ? null : { kind: 'data', mediaType: textAt(source, 'media_type') ?? 'image/png', base64 };
}

function readTool(tool: Json): Tool[] {
  const name = textAt(tool, 'name');
  // A tool of the provider's own (web search, code execution) has a type and no schema.
  if (name === null || !isObject(tool) || !isObject(tool['input_schema'])) return [];
  return [{ name, description: textAt(tool, 'description'), schema: tool['input_schema'] }];
}

function readChoice(choice: JsonObject): ToolChoice | null {
  const name = textAt(choice, 'name');
  switch (textAt(choice, 'type')) {
    case 'auto':
      return 'auto';
    case 'none':
      return 'none';
    case 'any':
      return 'required';
    case 'tool':
      return name === null ? 'required' : { name };
    default:
      return null;
  }
}

function writeRequest(c: Conversation): JsonObject {
  return compact({
    model: c.model,
    max_tokens: c.maxTokens ?? MAX_TOKENS,
    system: c.system,
    messages: alternating(c.turns).map(({ role, parts }) => ({ role, content: parts.map(writePart) })),
    tools: c.tools.length === 0 ? null : c.tools.map(writeTool),
    tool_choice: c.tools.length === 0 ? null : writeChoice(c.toolChoice, c.parallelTools),
    temperature: c.temperature === null ? null : Math.min(1, c.temperature),
    top_p: c.topP,
    stop_sequences: c.stop.length === 0 ? null : c.stop,
    stream: c.stream ? true : null,
  });
}

/** Turns of one role in a row become one: results of parallel calls must stand together. Empty ones are refused by the API. */
function alternating(turns: readonly Turn[]): readonly Turn[] {
  const out: Turn[] = [];
  for (const turn of turns) {
    const parts = turn.parts.filter((part) => part.kind !== 'text' || part.text !== '');
    if (parts.length === 0) continue;
    const last = out.at(-1);
    if (last?.role === turn.role) out[out.length - 1] = { role: turn.role, parts: [...last.parts, ...parts] };
    else out.push({ role: turn.role, parts });
  }
  return out.map((turn) => (turn.role === 'user' ? { role: 'user', parts: resultsFirst(turn.parts) } : turn));
}

/** Results must lead the turn that answers calls. */
function resultsFirst(parts: readonly Part[]): readonly Part[] {
  return [...parts.filter((p) => p.kind === 'tool-result'), ...parts.filter((p) => p.kind !== 'tool-result')];
}

function writePart(part: Part): JsonObject {
  switch (part.kind) {
    case 'text':
      return { type: 'text', text: part.text };
    case 'image':
      return { type: 'image', source: writeImage(part.image) };
    case 'tool-call':
      return { type: 'tool_use', id: part.id, name: part.name, input: inputObject(part.input) };
    case 'tool-result':
      return compact({
        type: 'tool_result',
        tool_use_id: part.id,
        content: part.content.map(writePart),
        is_error: part.isError ? true : null,
      });
  }
}

function writeImage(image: ImageSource): JsonObject {
  if (image.kind === 'url') return { type: 'url', url: image.url };
  return { type: 'base64', media_type: image.mediaType, data: image.base64 };
}

function writeTool({ name, description, schema }: Tool): JsonObject {
  return compact({ name, description, input_schema: { type: 'object', ...schema } });
}

function writeChoice(choice: ToolChoice | null, parallel: boolean): JsonObject | null {
  const single = parallel || choice === 'none' ? {} : { disable_parallel_tool_use: true };
  if (choice === null) return parallel ? null : { type: 'auto', ...single };
  if (choice === 'required') return { type: 'any', ...single };
  return typeof choice === 'string' ? { type: choice, ...single } : { type: 'tool', name: choice.name, ...single };
}

// ---------------------------------------------------------------- answers

const STOPS: Readonly<Record<string, StopReason>> = {
  end_turn: 'end',
  max_tokens: 'length',
  tool_use: 'tool-call',
  stop_sequence: 'stop-sequence',
  refusal: 'refusal',
};
const WORDS: Readonly<Record<StopReason, string>> = {
  end: 'end_turn',
  length: 'max_tokens',
  'tool-call': 'tool_use',
  'stop-sequence': 'stop_sequence',
  refusal: 'refusal',
};

function readAnswer(body: JsonObject): Answer {
  const usage = objectAt(body, 'usage');
  return {
    id: textAt(body, 'id') ?? '',
    model: textAt(body, 'model') ?? '',
    parts: listAt(body, 'content').flatMap((block) =>
      readPart(block).filter((part) => part.kind === 'text' || part.kind === 'tool-call'),
    ),
    stop: STOPS[textAt(body, 'stop_reason') ?? ''] ?? 'end',
    usage: { input: inputTokens(usage), output: numberAt(usage, 'output_tokens') ?? 0 },
  };
}

/** The whole prompt, also the part that was served from a cache. */
function inputTokens(usage: JsonObject): number {
  return ['input_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens']
    .map((key) => numberAt(usage, key) ?? 0)
    .reduce((sum, n) => sum + n, 0);
}

function writeAnswer(answer: Answer): JsonObject {
  return {
    id: ownId(answer.id),
    type: 'message',
    role: 'assistant',
    model: answer.model,
    content: answer.parts.map(writePart),
    stop_reason: WORDS[answer.stop],
    stop_sequence: null,
    usage: { input_tokens: answer.usage.input, output_tokens: answer.usage.output },
  };
}

const ownId = (id: string): string => (id.startsWith('msg_') ? id : `msg_${id.replace(/^\w+-/, '')}`);

// ---------------------------------------------------------------- streams

function glance({ event, data }: Frame): Glance {
  const type = event ?? textAt(parseJson(data), 'type');
  if (type === 'error') return 'error';
  if (type === 'message_stop') return 'end';
  if (type === 'message_delta') return textAt(objectAt(parseJson(data), 'delta'), 'stop_reason') ? 'stop' : 'quiet';
  if (type === 'content_block_start') {
    const block = textAt(objectAt(parseJson(data), 'content_block'), 'type');
    if (block === 'tool_use') return 'tool';
    // A tool of the provider's own has run there already: it cannot be run again elsewhere.
    return block === 'text' || block === null ? 'quiet' : 'reasoning';
  }
  if (type !== 'content_block_delta') return 'quiet';
  const delta = objectAt(parseJson(data), 'delta');
  switch (textAt(delta, 'type')) {
    case 'text_delta':
      return textAt(delta, 'text') === '' ? 'quiet' : 'text';
    case 'input_json_delta':
      return 'tool';
    case 'thinking_delta':
    case 'signature_delta':
      return 'reasoning';
    default:
      return 'quiet';
  }
}

class Reader implements StreamReader {
  push({ event, data }: Frame): readonly AnswerEvent[] {
    const body = parseJson(data);
    switch (event ?? textAt(body, 'type')) {
      case 'message_start': {
        const message = objectAt(body, 'message');
        const usage = objectAt(message, 'usage');
        return [
          { kind: 'start', id: textAt(message, 'id') ?? '', model: textAt(message, 'model') ?? '' },
          { kind: 'usage', usage: { input: inputTokens(usage) } },
        ];
      }
      case 'content_block_start':
        return this.#block(objectAt(body, 'content_block'));
      case 'content_block_delta':
        return this.#delta(objectAt(body, 'delta'));
      case 'message_delta':
        return [...stopOf(objectAt(body, 'delta')), ...usageOf(objectAt(body, 'usage'))];
      case 'message_stop':
        return [{ kind: 'end' }];
      case 'error':
        return [{ kind: 'error', body }];
      default:
        return [];
    }
  }

  #block(block: JsonObject): readonly AnswerEvent[] {
    const text = textAt(block, 'text');
    if (textAt(block, 'type') === 'text') return text ? [{ kind: 'text', text }] : [];
    if (textAt(block, 'type') !== 'tool_use') return [];
    const events: AnswerEvent[] = [
      { kind: 'tool-call', id: textAt(block, 'id') ?? '', name: textAt(block, 'name') ?? '' },
    ];
    const input = block['input'];
    // Some servers send the input whole, with the block itself.
    if (isObject(input) && Object.keys(input).length > 0)
      events.push({ kind: 'arguments', text: JSON.stringify(input) });
    return events;
  }

  #delta(delta: JsonObject): readonly AnswerEvent[] {
    switch (textAt(delta, 'type')) {
      case 'text_delta':
        return [{ kind: 'text', text: textAt(delta, 'text') ?? '' }];
      case 'thinking_delta':
        return [{ kind: 'reasoning', text: textAt(delta, 'thinking') ?? '' }];
      case 'input_json_delta':
        return [{ kind: 'arguments', text: textAt(delta, 'partial_json') ?? '' }];
      default:
        return [];
    }
  }
}

function stopOf(delta: JsonObject): readonly AnswerEvent[] {
  const reason = textAt(delta, 'stop_reason');
  return reason === null ? [] : [{ kind: 'stop', reason: STOPS[reason] ?? 'end' }];
}

function usageOf(usage: JsonObject): readonly AnswerEvent[] {
  const output = numberAt(usage, 'output_tokens');
  const input = inputTokens(usage);
  if (output === null && input === 0) return [];
  return [{ kind: 'usage', usage: { ...(output !== null && { output }), ...(input > 0 && { input }) } }];
}

/** One block is open at a time; reasoning of others is not shown, for nobody could sign it. */
class Writer implements StreamWriter {
  #started: boolean;
  #index: number;
  #open: 'text' | 'tool' | 'reasoning' | null;
  #usage: { input: number; output: number };
  /** Tokens that a broken answer had cost before this one. */
  readonly #spent: number;
  #stop: StopReason = 'end';
  #emptyInput = false;

  constructor(from?: Progress) {
    this.#started = from?.started ?? false;
    this.#index = from?.blocks ?? 0;
    this.#open = from?.open ?? null;
    this.#usage = { input: from?.usage.input ?? 0, output: 0 };
    this.#spent = from?.usage.output ?? 0;
  }

  write(event: AnswerEvent): string {
    switch (event.kind) {
      case 'start':
        return this.#start(event.id, event.model);
      case 'text':
        return event.text === ''
          ? ''
          : `${this.#begin()}${this.#text()}${this.#delta('text_delta', 'text', event.text)}`;
      case 'reasoning':
        return '';
      case 'tool-call':
        return `${this.#begin()}${this.#close()}${this.#tool(event.id, event.name)}`;
      case 'arguments':
        if (event.text === '') return '';
        this.#emptyInput = false;
        return this.#delta('input_json_delta', 'partial_json', event.text);
      case 'usage':
        this.#usage = { ...this.#usage, ...event.usage };
        return '';
      case 'stop':
        this.#stop = event.reason;
        return '';
      case 'error':
        return frame('error', event.body);
      case 'end':
        return `${this.#begin()}${this.#close()}${this.#end()}`;
    }
  }

  #begin(): string {
    return this.#started ? '' : this.#start('', '');
  }

  #start(id: string, model: string): string {
    if (this.#started) return '';
    this.#started = true;
    const message = writeAnswer({ id, model, parts: [], stop: 'end', usage: { ...this.#usage } });
    return frame('message_start', { type: 'message_start', message: { ...message, stop_reason: null } });
  }

  #text(): string {
    if (this.#open === 'text') return '';
    const closed = this.#close();
    this.#open = 'text';
    return `${closed}${this.#blockStart({ type: 'text', text: '' })}`;
  }

  #tool(id: string, name: string): string {
    this.#open = 'tool';
    this.#emptyInput = true;
    return this.#blockStart({ type: 'tool_use', id: id || `toolu_${this.#index}`, name, input: {} });
  }

  #blockStart(block: JsonObject): string {
    const at = this.#index;
    this.#index += 1;
    return frame('content_block_start', { type: 'content_block_start', index: at, content_block: block });
  }

  #delta(type: string, key: string, text: string): string {
    const delta = { type, [key]: text };
    return frame('content_block_delta', { type: 'content_block_delta', index: this.#index - 1, delta });
  }

  #close(): string {
    if (this.#open === null) return '';
    const empty =
      this.#open === 'tool' && this.#emptyInput ? this.#delta('input_json_delta', 'partial_json', '{}') : '';
    this.#open = null;
    return `${empty}${frame('content_block_stop', { type: 'content_block_stop', index: this.#index - 1 })}`;
  }

  #end(): string {
    const usage = { input_tokens: this.#usage.input, output_tokens: this.#spent + this.#usage.output };
    const delta = { stop_reason: WORDS[this.#stop], stop_sequence: null };
    return `${frame('message_delta', { type: 'message_delta', delta, usage })}${messages.terminal}`;
  }
}

function progress(frames: readonly Frame[]): Progress {
  let state: Progress = {
    started: false,
    id: '',
    model: '',
    text: '',
    blocks: 0,
    open: null,
    openText: '',
    openId: '',
    openPart: 'open',
    usage: { input: 0, output: 0 },
    sequence: 0,
    items: [],
  };
  for (const { event, data } of frames) {
    const body = parseJson(data);
    const type = event ?? textAt(body, 'type');
    if (type === 'message_start') {
      const message = objectAt(body, 'message');
      const usage = { input: inputTokens(objectAt(message, 'usage')), output: 0 };
      state = {
        ...state,
        started: true,
        id: textAt(message, 'id') ?? '',
        model: textAt(message, 'model') ?? '',
        usage,
      };
    } else if (type === 'content_block_start') {
      const open = textAt(objectAt(body, 'content_block'), 'type') === 'text' ? 'text' : 'reasoning';
      state = { ...state, open, openText: '', blocks: (numberAt(body, 'index') ?? state.blocks) + 1 };
    } else if (type === 'content_block_stop') state = { ...state, open: null, openText: '' };
    else if (type === 'content_block_delta') {
      const text = textAt(objectAt(body, 'delta'), 'text') ?? '';
      state = { ...state, text: state.text + text, openText: state.openText + text };
    }
  }
  return state;
}
