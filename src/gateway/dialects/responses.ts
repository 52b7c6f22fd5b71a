// OpenAI Responses: https://platform.openai.com/docs/api-reference/responses and .../responses-streaming.

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
  Usage,
} from './contract.ts';

export const responses: Dialect = {
  name: 'responses',
  path: '/v1/responses',
  markers: [
    'event: error',
    'event:error',
    'response.failed',
    'response.completed',
    'response.incomplete',
    'function_call',
    '_call"',
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
  errorFrame: ({ type, message }) =>
    frame('error', { type: 'error', code: type, message, param: null, sequence_number: 0 }),
  terminal: '',
  ping: ': waiting\n\n',
};
export default responses;

// ---------------------------------------------------------------- requests

/** What the provider remembers, and tools that run there, nobody else can take over. */
function boundTo(body: JsonObject): string | null {
  if (textAt(body, 'previous_response_id') !== null) return 'it goes on from an answer that the provider stores';
  if (body['conversation'] !== undefined && body['conversation'] !== null) return 'its conversation is stored there';
  if (body['background'] === true) return 'it runs in the background there';
  const own = listAt(body, 'tools').find((tool) => !['function', 'custom'].includes(textAt(tool, 'type') ?? ''));
  return own ? `the tool ${textAt(own, 'type')} runs at the provider` : null;
}

function readRequest(body: JsonObject): Conversation {
  const input = body['input'];
  const items: readonly Json[] = typeof input === 'string' ? [{ role: 'user', content: input }] : listAt(body, 'input');
  const system = [textAt(body, 'instructions'), ...items.filter(isSystem).map(plainText)].filter(
    (text): text is string => text !== null,
  );
  return {
    model: textAt(body, 'model') ?? '',
    system: system.length === 0 ? null : system.join('\n\n'),
    turns: turnsOf(items.filter((item) => !isSystem(item))),
    tools: listAt(body, 'tools').flatMap(readTool),
    toolChoice: readChoice(body['tool_choice']),
    parallelTools: body['parallel_tool_calls'] !== false,
    maxTokens: numberAt(body, 'max_output_tokens'),
    temperature: numberAt(body, 'temperature'),
    topP: numberAt(body, 'top_p'),
    stop: [],
    stream: body['stream'] === true,
  };
}

function isSystem(item: Json): boolean {
  const role = textAt(item, 'role');
  return role === 'system' || role === 'developer';
}

function plainText(item: Json): string {
  const content = isObject(item) ? item['content'] : undefined;
  if (typeof content === 'string') return content;
  return listAt(item, 'content')
    .map((part) => textAt(part, 'text') ?? '')
    .join('');
}

/** Calls, results and texts are items in a row; elsewhere they are parts of turns. */
function turnsOf(items: readonly Json[]): readonly Turn[] {
  const turns: Turn[] = [];
  for (const item of items) {
    const turn = readItem(item);
    if (turn === null) continue;
    const last = turns.at(-1);
    if (last && joins(last, turn)) turns[turns.length - 1] = { role: turn.role, parts: [...last.parts, ...turn.parts] };
    else turns.push(turn);
  }
  return turns;
}

function joins(last: Turn, next: Turn): boolean {
  if (last.role !== next.role) return false;
  return last.role === 'assistant'
    ? next.parts.every((part) => part.kind === 'tool-call')
    : last.parts.every((part) => part.kind === 'tool-result');
}

function readItem(item: Json): Turn | null {
  const id = textAt(item, 'call_id') ?? '';
  switch (textAt(item, 'type') ?? 'message') {
    case 'message': {
      const role = textAt(item, 'role') === 'assistant' ? 'assistant' : 'user';
      return { role, parts: contentParts(isObject(item) ? item['content'] : undefined) };
    }
    case 'function_call': {
      const [name, input] = [textAt(item, 'name') ?? '', textAt(item, 'arguments') ?? ''];
      return { role: 'assistant', parts: [{ kind: 'tool-call', id, name, input }] };
    }
    case 'function_call_output': {
      const content = contentParts(isObject(item) ? item['output'] : undefined);
      return { role: 'user', parts: [{ kind: 'tool-result', id, content, isError: false }] };
    }
    default:
      return null;
  }
}

function contentParts(content: Json | undefined): readonly ResultPart[] {
  if (typeof content === 'string') return content === '' ? [] : [{ kind: 'text', text: content }];
  if (!Array.isArray(content)) return [];
  return (content as readonly Json[]).flatMap((part): ResultPart[] => {
    const url = textAt(part, 'image_url');
    if (url !== null) return [{ kind: 'image', image: imageOf(url) }];
    const text = textAt(part, 'text') ?? textAt(part, 'refusal');
    return text === null ? [] : [{ kind: 'text', text }];
  });
}

function readTool(tool: Json): Tool[] {
  const name = textAt(tool, 'name');
  if (name === null || textAt(tool, 'type') !== 'function') return [];
  return [{ name, description: textAt(tool, 'description'), schema: objectAt(tool, 'parameters') }];
}

function readChoice(choice: Json | undefined): ToolChoice | null {
  if (choice === 'auto' || choice === 'none' || choice === 'required') return choice;
  const name = textAt(choice ?? null, 'name');
  return name === null ? null : { name };
}

function writeRequest(c: Conversation): JsonObject {
  return compact({
    model: c.model,
    instructions: c.system,
    input: c.turns.flatMap(writeTurn),
    tools: c.tools.length === 0 ? null : c.tools.map(writeTool),
    tool_choice: c.tools.length === 0 ? null : writeChoice(c.toolChoice),
    parallel_tool_calls: c.tools.length === 0 || c.parallelTools ? null : false,
    max_output_tokens: c.maxTokens,
    temperature: c.temperature,
    top_p: c.topP,
    stream: c.stream ? true : null,
    store: false,
  });
}

function writeTurn({ role, parts }: Turn): readonly JsonObject[] {
  const said = parts.filter((part): part is ResultPart => part.kind === 'text' || part.kind === 'image');
  const message = { type: 'message', role, content: said.map((part) => writeContent(part, role)) };
  const calls = parts.flatMap((part) => (part.kind === 'tool-call' ? [writeCall(part)] : []));
  const results = parts.flatMap((part) => (part.kind === 'tool-result' ? [writeResult(part)] : []));
  return [...results, ...(said.length === 0 ? [] : [message]), ...calls];
}

function writeContent(part: ResultPart, role: 'user' | 'assistant'): JsonObject {
  if (part.kind === 'text') return { type: role === 'user' ? 'input_text' : 'output_text', text: part.text };
  return { type: 'input_image', image_url: imageUrl(part.image), detail: 'auto' };
}

function writeCall({ id, name, input }: Part & { kind: 'tool-call' }): JsonObject {
  return { type: 'function_call', call_id: id, name, arguments: input };
}

function writeResult({ id, content, isError }: Part & { kind: 'tool-result' }): JsonObject {
  const text = resultText(content, isError);
  const pictures = content.some((part) => part.kind === 'image');
  const output = pictures
    ? [{ type: 'input_text', text }, ...content.filter((p) => p.kind === 'image').map((p) => writeContent(p, 'user'))]
    : text;
  return { type: 'function_call_output', call_id: id, output };
}

function writeTool({ name, description, schema }: Tool): JsonObject {
  return compact({ type: 'function', name, description, parameters: schema, strict: false });
}

function writeChoice(choice: ToolChoice | null): Json {
  return choice === null || typeof choice === 'string' ? choice : { type: 'function', name: choice.name };
}

// ---------------------------------------------------------------- answers

function readAnswer(body: JsonObject): Answer {
  const parts = listAt(body, 'output').flatMap((item): AnswerPart[] => {
    const turn = readItem(item);
    return (turn?.parts ?? []).filter((part): part is AnswerPart => part.kind === 'text' || part.kind === 'tool-call');
  });
  return {
    id: textAt(body, 'id') ?? '',
    model: textAt(body, 'model') ?? '',
    parts,
    stop: stopOf(
      body,
      parts.some((part) => part.kind === 'tool-call'),
    ),
    usage: readUsage(objectAt(body, 'usage')),
  };
}

function stopOf(response: JsonObject, calls: boolean): StopReason {
  const reason = textAt(objectAt(response, 'incomplete_details'), 'reason');
  if (reason === 'max_output_tokens') return 'length';
  if (reason === 'content_filter') return 'refusal';
  return calls ? 'tool-call' : 'end';
}

function readUsage(usage: JsonObject): Usage {
  return { input: numberAt(usage, 'input_tokens') ?? 0, output: numberAt(usage, 'output_tokens') ?? 0 };
}

function writeAnswer(answer: Answer): JsonObject {
  const items = answer.parts.map((part, index): JsonObject => {
    if (part.kind === 'text') return messageItem(`msg_${index}`, part.text, 'completed');
    return callItem(`fc_${index}`, part, 'completed');
  });
  return responseBody({ ...answer, items });
}

type Ending = Pick<Answer, 'id' | 'model' | 'stop' | 'usage'> & { readonly items: readonly Json[] };

function responseBody({ id, model, stop, usage, items }: Ending): JsonObject {
  const reason = stop === 'length' ? 'max_output_tokens' : stop === 'refusal' ? 'content_filter' : null;
  return {
    ...skeleton(id, model),
    status: reason === null ? 'completed' : 'incomplete',
    incomplete_details: reason === null ? null : { reason },
    output: items,
    usage: {
      input_tokens: usage.input,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: usage.output,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.input + usage.output,
    },
  };
}

/** What every form of a response holds. */
function skeleton(id: string, model: string): JsonObject {
  return {
    id: id.startsWith('resp_') ? id : `resp_${id.replace(/^[a-z]+[_-]/, '')}`,
    object: 'response',
    created_at: 0,
    status: 'in_progress',
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model,
    output: [],
    parallel_tool_calls: true,
    temperature: null,
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    usage: null,
  };
}

function messageItem(id: string, text: string, status: string): JsonObject {
  const content = status === 'completed' ? [{ type: 'output_text', text, annotations: [], logprobs: [] }] : [];
  return { id, type: 'message', status, role: 'assistant', content };
}

function callItem(id: string, call: { id: string; name: string; input: string }, status: string): JsonObject {
  return { id, type: 'function_call', status, call_id: call.id, name: call.name, arguments: call.input };
}

// ---------------------------------------------------------------- streams

const typeOf = (given: Frame): string | null => given.event ?? textAt(parseJson(given.data), 'type');

function glance(given: Frame): Glance {
  switch (typeOf(given)) {
    case 'error':
    case 'response.failed':
      return 'error';
    case 'response.completed':
    case 'response.incomplete':
      return 'end';
    case 'response.output_text.delta':
    case 'response.refusal.delta':
      return 'text';
    case 'response.function_call_arguments.delta':
    case 'response.custom_tool_call_input.delta':
      return 'tool';
    case 'response.output_item.added': {
      const item = textAt(objectAt(parseJson(given.data), 'item'), 'type');
      if (item === 'function_call' || item === 'custom_tool_call') return 'tool';
      return item === 'message' ? 'quiet' : 'reasoning';
    }
    default:
      return given.event?.startsWith('response.reasoning') ? 'reasoning' : 'quiet';
  }
}

class Reader implements StreamReader {
  #calls = false;

  push(given: Frame): readonly AnswerEvent[] {
    const body = parseJson(given.data);
    switch (typeOf(given)) {
      case 'response.created': {
        const response = objectAt(body, 'response');
        return [{ kind: 'start', id: textAt(response, 'id') ?? '', model: textAt(response, 'model') ?? '' }];
      }
      case 'response.output_text.delta':
      case 'response.refusal.delta':
        return [{ kind: 'text', text: textAt(body, 'delta') ?? '' }];
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        return [{ kind: 'reasoning', text: textAt(body, 'delta') ?? '' }];
      case 'response.output_item.added':
        return this.#item(objectAt(body, 'item'));
      case 'response.function_call_arguments.delta':
        return [{ kind: 'arguments', text: textAt(body, 'delta') ?? '' }];
      case 'response.completed':
      case 'response.incomplete': {
        const response = objectAt(body, 'response');
        return [
          { kind: 'usage', usage: readUsage(objectAt(response, 'usage')) },
          { kind: 'stop', reason: stopOf(response, this.#calls) },
          { kind: 'end' },
        ];
      }
      case 'response.failed':
        return [{ kind: 'error', body: objectAt(body, 'response') }];
      case 'error':
        return [{ kind: 'error', body }];
      default:
        return [];
    }
  }

  #item(item: JsonObject): readonly AnswerEvent[] {
    if (textAt(item, 'type') !== 'function_call') return [];
    this.#calls = true;
    const call: AnswerEvent = {
      kind: 'tool-call',
      id: textAt(item, 'call_id') ?? '',
      name: textAt(item, 'name') ?? '',
    };
    const text = textAt(item, 'arguments');
    return text ? [call, { kind: 'arguments', text }] : [call];
  }
}

type OpenItem =
  | { readonly kind: 'text'; readonly id: string; text: string; part: Progress['openPart'] }
  | { readonly kind: 'call'; readonly id: string; readonly call: { id: string; name: string; input: string } };

class Writer implements StreamWriter {
  #started: boolean;
  #id: string;
  #model: string;
  #sequence: number;
  #index: number;
  #open: OpenItem | null;
  readonly #items: Json[];
  #usage: Usage;
  readonly #spent: number;
  #stop: StopReason = 'end';

  constructor(from?: Progress) {
    this.#started = from?.started ?? false;
    this.#id = from?.id ?? '';
    this.#model = from?.model ?? '';
    this.#sequence = from?.sequence ?? 0;
    this.#index = from?.blocks ?? 0;
    this.#open =
      from?.open === 'text' ? { kind: 'text', id: from.openId, text: from.openText, part: from.openPart } : null;
    this.#items = [...(from?.items ?? [])];
    this.#usage = { input: from?.usage.input ?? 0, output: 0 };
    this.#spent = from?.usage.output ?? 0;
  }

  write(event: AnswerEvent): string {
    switch (event.kind) {
      case 'start':
        return this.#start(event.id, event.model);
      case 'text':
        return event.text === '' ? '' : `${this.#begin()}${this.#text(event.text)}`;
      case 'reasoning':
        return '';
      case 'tool-call':
        return `${this.#begin()}${this.#close()}${this.#call(event.id, event.name)}`;
      case 'arguments':
        return this.#arguments(event.text);
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

  #say(type: string, data: JsonObject): string {
    const sequence = this.#sequence;
    this.#sequence += 1;
    return frame(type, { type, sequence_number: sequence, ...data });
  }

  #begin(): string {
    return this.#started ? '' : this.#start('', '');
  }

  #start(id: string, model: string): string {
    if (this.#started) return '';
    [this.#started, this.#id, this.#model] = [true, id, model];
    const response = skeleton(id, model);
    return this.#say('response.created', { response }) + this.#say('response.in_progress', { response });
  }

  #text(delta: string): string {
    let head = '';
    if (this.#open?.kind !== 'text' || this.#open.part === 'done') {
      head = this.#close();
      this.#open = { kind: 'text', id: `msg_${this.#index}`, text: '', part: 'none' };
      head += this.#added(messageItem(this.#open.id, '', 'in_progress'));
    }
    const open = this.#open;
    head += this.#beginPart(open);
    open.text += delta;
    return `${head}${this.#say('response.output_text.delta', { ...this.#place(), content_index: 0, delta, logprobs: [] })}`;
  }

  #beginPart(open: OpenItem & { kind: 'text' }): string {
    if (open.part !== 'none') return '';
    open.part = 'open';
    return this.#say('response.content_part.added', this.#part(''));
  }

  #call(id: string, name: string): string {
    const open: OpenItem = {
      kind: 'call',
      id: `fc_${this.#index}`,
      call: { id: id || `call_${this.#index}`, name, input: '' },
    };
    this.#open = open;
    return this.#added(callItem(open.id, open.call, 'in_progress'));
  }

  #arguments(delta: string): string {
    if (delta === '' || this.#open?.kind !== 'call') return '';
    this.#open.call.input += delta;
    return this.#say('response.function_call_arguments.delta', { ...this.#place(), delta });
  }

  #added(item: JsonObject): string {
    this.#index += 1;
    return this.#say('response.output_item.added', { output_index: this.#index - 1, item });
  }

  #place(): JsonObject {
    return { item_id: this.#open?.id ?? '', output_index: this.#index - 1 };
  }

  #part(text: string): JsonObject {
    return { ...this.#place(), content_index: 0, part: { type: 'output_text', text, annotations: [], logprobs: [] } };
  }

  #close(): string {
    const open = this.#open;
    if (open === null) return '';
    const done = open.kind === 'text' ? this.#textDone(open) : this.#callDone(open);
    const item =
      open.kind === 'text' ? messageItem(open.id, open.text, 'completed') : callItem(open.id, open.call, 'completed');
    this.#items.push(item);
    const out = `${done}${this.#say('response.output_item.done', { output_index: this.#index - 1, item })}`;
    this.#open = null;
    return out;
  }

  #textDone(open: OpenItem & { kind: 'text' }): string {
    if (open.part === 'done') return '';
    const { text } = open;
    const begun = this.#beginPart(open);
    const done = this.#say('response.output_text.done', { ...this.#place(), content_index: 0, text, logprobs: [] });
    return `${begun}${done}${this.#say('response.content_part.done', this.#part(text))}`;
  }

  #callDone({ call }: OpenItem & { kind: 'call' }): string {
    if (call.input === '') call.input = '{}';
    return this.#say('response.function_call_arguments.done', {
      ...this.#place(),
      name: call.name,
      arguments: call.input,
    });
  }

  #end(): string {
    const usage = { input: this.#usage.input, output: this.#spent + this.#usage.output };
    const response = responseBody({ id: this.#id, model: this.#model, stop: this.#stop, usage, items: this.#items });
    return this.#say(response['status'] === 'completed' ? 'response.completed' : 'response.incomplete', { response });
  }
}

function progress(frames: readonly Frame[]): Progress {
  let p: Progress = {
    started: false,
    id: '',
    model: '',
    text: '',
    blocks: 0,
    open: null,
    openText: '',
    openId: '',
    openPart: 'none',
    usage: { input: 0, output: 0 },
    sequence: 0,
    items: [],
  };
  for (const given of frames) {
    const body = parseJson(given.data);
    p = { ...p, sequence: (numberAt(body, 'sequence_number') ?? p.sequence) + 1 };
    const type = typeOf(given);
    if (type === 'response.created') {
      const response = objectAt(body, 'response');
      p = { ...p, started: true, id: textAt(response, 'id') ?? '', model: textAt(response, 'model') ?? '' };
    } else if (type === 'response.output_item.added') {
      const item = objectAt(body, 'item');
      const open = textAt(item, 'type') === 'message' ? 'text' : 'reasoning';
      p = {
        ...p,
        open,
        openPart: 'none',
        openText: '',
        openId: textAt(item, 'id') ?? '',
        blocks: (numberAt(body, 'output_index') ?? p.blocks) + 1,
      };
    } else if (type === 'response.output_item.done') {
      p = { ...p, open: null, openText: '', items: [...p.items, objectAt(body, 'item')] };
    } else if (type === 'response.content_part.added') p = { ...p, openPart: 'open' };
    else if (type === 'response.output_text.done') p = { ...p, openPart: 'done' };
    else if (type === 'response.output_text.delta') {
      const delta = textAt(body, 'delta') ?? '';
      p = { ...p, text: p.text + delta, openText: p.openText + delta };
    }
  }
  return p;
}
