// Makes a conversation fit a smaller model: a coding agent's prompt is often longer than a local context. What is kept
// is what the next step needs; a line says that something is missing.

import type { Conversation, Part, ResultPart, Tool, Turn } from './dialects/contract.ts';

/** Characters of a token, on the safe side: English prose has about four, code and JSON about three. */
const CHARS_PER_TOKEN = 3;
/** A picture costs about this many tokens, whatever its bytes. */
const IMAGE_TOKENS = 1_500;
/** Share of the context that is left for the answer. */
const ANSWER_SHARE = 0.25;
const NOTE = '[Earlier turns were left out to fit this model.]';
const CUT = '\n[… shortened …]\n';

/** Tokens that a conversation takes, roughly, on the safe side. */
export function tokensOf(c: Conversation): number {
  const own = (c.system?.length ?? 0) + c.tools.reduce((sum, tool) => sum + toolSize(tool), 0);
  return Math.ceil(own / CHARS_PER_TOKEN) + c.turns.reduce((sum, turn) => sum + turnTokens(turn), 0);
}

/**
 * The conversation within a context of so many tokens, with room for the answer. Order of what goes: turns of the
 * middle, long results and texts, descriptions of tools and unused tools, the end of the system prompt. A call never
 * loses its result, nor a result its call.
 *
 * @example
 * const small = fit(conversation, 4_096);
 */
export function fit(c: Conversation, contextTokens: number): Conversation {
  const maxTokens = Math.max(
    16,
    Math.min(c.maxTokens ?? Number.MAX_SAFE_INTEGER, Math.floor(contextTokens * ANSWER_SHARE)),
  );
  const room = contextTokens - maxTokens - 64;
  const asked = { ...c, maxTokens };
  if (tokensOf(asked) <= room) return asked;
  let small = withShortSystem(asked, room);
  small = withFewTools(small, room);
  for (const cap of [8_000, 2_000, 500, 120]) {
    small = { ...small, turns: small.turns.map((turn) => shortened(turn, cap * CHARS_PER_TOKEN)) };
    const cut = withoutMiddle(small, room);
    if (tokensOf(cut) <= room || cap === 120) return cut;
  }
  return small;
}

function toolSize({ name, description, schema }: Tool): number {
  return name.length + (description?.length ?? 0) + JSON.stringify(schema).length + 20;
}

function turnTokens({ parts }: Turn): number {
  return 4 + parts.reduce((sum, part) => sum + partTokens(part), 0);
}

function partTokens(part: Part): number {
  switch (part.kind) {
    case 'text':
      return Math.ceil(part.text.length / CHARS_PER_TOKEN);
    case 'image':
      return IMAGE_TOKENS;
    case 'tool-call':
      return Math.ceil((part.name.length + part.input.length) / CHARS_PER_TOKEN) + 10;
    case 'tool-result':
      return 10 + part.content.reduce((sum, inner) => sum + partTokens(inner), 0);
  }
}

/** At most a third of the room: its beginning says what the agent is. */
function withShortSystem(c: Conversation, room: number): Conversation {
  const cap = Math.floor((room / 3) * CHARS_PER_TOKEN);
  return c.system === null || c.system.length <= cap ? c : { ...c, system: `${c.system.slice(0, cap)}${CUT}` };
}

/** At most a third of the room, too: tools in use first, then in the given order, each with its first sentence. */
function withFewTools(c: Conversation, room: number): Conversation {
  const cap = Math.floor((room / 3) * CHARS_PER_TOKEN);
  const sizeOf = (tools: readonly Tool[]): number => tools.reduce((sum, tool) => sum + toolSize(tool), 0);
  if (sizeOf(c.tools) <= cap) return c;
  const used = new Set(c.turns.flatMap(({ parts }) => parts.flatMap((p) => (p.kind === 'tool-call' ? p.name : []))));
  const short = c.tools.map((tool) => ({ ...tool, description: tool.description?.slice(0, 120) ?? null }));
  const ordered = [...short.filter((tool) => used.has(tool.name)), ...short.filter((tool) => !used.has(tool.name))];
  const kept: Tool[] = [];
  for (const tool of ordered) if (sizeOf([...kept, tool]) <= cap) kept.push(tool);
  const named = typeof c.toolChoice === 'object' && c.toolChoice !== null ? c.toolChoice.name : null;
  const lost = named !== null && !kept.some((tool) => tool.name === named);
  return { ...c, tools: kept, toolChoice: lost ? null : c.toolChoice };
}

function shortened(turn: Turn, cap: number): Turn {
  return {
    role: turn.role,
    parts: turn.parts.map((part) => {
      if (part.kind === 'text') return { kind: 'text', text: middleCut(part.text, cap) };
      if (part.kind !== 'tool-result') return part;
      return { ...part, content: part.content.map((inner) => shortResult(inner, cap)) };
    }),
  };
}

function shortResult(part: ResultPart, cap: number): ResultPart {
  return part.kind === 'text' ? { kind: 'text', text: middleCut(part.text, cap) } : part;
}

/** Beginning and end say most. */
function middleCut(text: string, cap: number): string {
  if (text.length <= cap) return text;
  const half = Math.floor((cap - CUT.length) / 2);
  return `${text.slice(0, half)}${CUT}${text.slice(-half)}`;
}

/** The first turn says what it is about, the last ones where it stands. */
function withoutMiddle(c: Conversation, room: number): Conversation {
  const [first, ...rest] = c.turns;
  if (!first || rest.length < 2 || tokensOf(c) <= room) return c;
  const groups = grouped(rest);
  const kept: Turn[] = [];
  for (const group of groups.reverse()) {
    const next = [...group, ...kept];
    if (kept.length > 0 && tokensOf({ ...c, turns: [first, ...next] }) > room) break;
    kept.splice(0, kept.length, ...next);
  }
  if (kept.length === rest.length) return c;
  const text = first.parts.filter((part) => part.kind === 'text' || part.kind === 'image');
  return { ...c, turns: [{ role: 'user', parts: [...text, { kind: 'text', text: NOTE }] }, ...kept] };
}

/** Turns that must stay together: calls and the turn that answers them. */
function grouped(turns: readonly Turn[]): Turn[][] {
  const groups: Turn[][] = [];
  for (const turn of turns) {
    const answers = turn.parts.some((part) => part.kind === 'tool-result');
    const last = groups.at(-1);
    if (answers && last) last.push(turn);
    else groups.push([turn]);
  }
  return groups;
}
