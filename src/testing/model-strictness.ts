// What real providers refuse with status 400: so a translator that makes such a request fails its test here.

import type { FakeDialect } from './model-shapes.ts';

type Item = Readonly<Record<string, unknown>>;
type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The reason a real provider would give; null for a proper request. */
export function objectionTo(dialect: FakeDialect, body: Item, headers: Headers): string | null {
  if (!String(headers['content-type']).includes('application/json')) return 'content-type: expected application/json';
  if (typeof body['model'] !== 'string' || body['model'] === '') return 'model: field required';
  if (dialect === 'messages') return messagesObjection(body, headers);
  return dialect === 'chat' ? chatObjection(list(body['messages'])) : responsesObjection(body['input']);
}

const list = (value: unknown): readonly Item[] => (Array.isArray(value) ? (value as Item[]) : []);
const parts = (message: Item | undefined): readonly Item[] => list(message?.['content']);

function messagesObjection(body: Item, headers: Headers): string | null {
  if (headers['anthropic-version'] === undefined) return 'anthropic-version: header is required';
  if (typeof body['max_tokens'] !== 'number' || body['max_tokens'] < 1) return 'max_tokens: field required';
  const messages = list(body['messages']);
  if (messages.length === 0) return 'messages: at least one message is required';
  if (messages[0]?.['role'] !== 'user') return 'messages: first message must use the "user" role';
  if (messages.at(-1)?.['role'] === 'assistant')
    return 'messages: this model does not support assistant message prefill';
  for (const [index, message] of messages.entries()) {
    const objection = messageObjection(message, messages[index - 1], messages[index + 1], index);
    if (objection) return objection;
  }
  for (const tool of list(body['tools']))
    if (tool['type'] === undefined && (tool['input_schema'] as Item | undefined)?.['type'] !== 'object')
      return 'tools.0.input_schema.type: Field required';
  return null;
}

function messageObjection(
  message: Item,
  before: Item | undefined,
  after: Item | undefined,
  index: number,
): string | null {
  const content = message['content'];
  if (content === '' || (Array.isArray(content) && content.length === 0))
    return `messages.${index}: must have non-empty content`;
  if (parts(message).some((p) => p['type'] === 'text' && p['text'] === ''))
    return `messages.${index}: text content blocks must be non-empty`;
  const calls = parts(message).filter((p) => p['type'] === 'tool_use');
  const answers = parts(after)
    .filter((p) => p['type'] === 'tool_result')
    .map((p) => p['tool_use_id']);
  const unanswered = calls.find((call) => !answers.includes(call['id']));
  if (unanswered)
    return `messages.${index}: tool_use ids were found without tool_result blocks: ${String(unanswered['id'])}`;
  const known = parts(before)
    .filter((p) => p['type'] === 'tool_use')
    .map((p) => p['id']);
  const stray = parts(message).find((p) => p['type'] === 'tool_result' && !known.includes(p['tool_use_id']));
  if (stray) return `messages.${index}: unexpected tool_use_id ${String(stray['tool_use_id'])} in tool_result`;
  const firstOther = parts(message).findIndex((p) => p['type'] !== 'tool_result');
  const lastResult = parts(message).findLastIndex((p) => p['type'] === 'tool_result');
  return firstOther >= 0 && firstOther < lastResult ? `messages.${index}: tool_result blocks must come first` : null;
}

function chatObjection(messages: readonly Item[]): string | null {
  if (messages.length === 0) return 'messages: empty array';
  let open: unknown[] = [];
  for (const message of messages) {
    if (message['role'] === 'tool') {
      if (!open.includes(message['tool_call_id']))
        return "messages with role 'tool' must follow a message with 'tool_calls'";
      open = open.filter((id) => id !== message['tool_call_id']);
      continue;
    }
    if (open.length > 0) return `tool_call_ids did not have response messages: ${open.join(', ')}`;
    open = list(message['tool_calls']).map((call) => call['id']);
    if (message['content'] === null && open.length === 0) return 'content: expected a string, got null';
  }
  return open.length > 0 ? `tool_call_ids did not have response messages: ${open.join(', ')}` : null;
}

function responsesObjection(input: unknown): string | null {
  if (typeof input === 'string') return input === '' ? 'input: empty' : null;
  const items = list(input);
  if (items.length === 0) return 'input: empty';
  const calls = items.filter((item) => item['type'] === 'function_call').map((item) => item['call_id']);
  const answers = items.filter((item) => item['type'] === 'function_call_output').map((item) => item['call_id']);
  const missing = calls.find((id) => !answers.includes(id));
  if (missing !== undefined) return `No tool output found for function call ${String(missing)}`;
  const stray = answers.find((id) => !calls.includes(id));
  return stray === undefined ? null : `No tool call found for function call output with call_id ${String(stray)}`;
}
