// Conversations and answers through every dialect and back, and streams cut at any place, read by the official SDKs'
// own accumulators. FUZZ=100000 runs as many of each as wanted.

import type Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { anthropicClient, openaiClient } from '../../testing/model-clients.ts';
import { FrameGatherer, framesOf } from '../sse.ts';
import type {
  Answer,
  AnswerEvent,
  AnswerPart,
  Conversation,
  Dialect,
  DialectName,
  JsonObject,
  Part,
  Turn,
} from './contract.ts';
import { dialects } from './index.ts';

const FUZZ = process.env.FUZZ === undefined ? null : Number(process.env.FUZZ);
const RUNS = FUZZ ?? 100;
/** Streams cost ten times as much. */
const STREAMS = FUZZ ?? 34;
// Very many of them take as long as they take.
if (FUZZ !== null) vi.setConfig({ testTimeout: 4 * 3_600_000 });

/**
 * As many cases as wanted, in parts with a turn of the event loop between them: what the SDKs leave to it (timers, bodies to
 * let go of) would pile up until the memory is full, and whoever runs the tests would take a process that says nothing for dead.
 */
async function holds<T>(property: fc.IRawProperty<T>, runs: number): Promise<void> {
  for (let left = runs; left > 0; left -= PART) {
    await fc.assert(property, { numRuns: Math.min(left, PART) });
    await new Promise((resolve) => setImmediate(resolve));
  }
}
const PART = 1_000;

const NAMES: readonly DialectName[] = ['messages', 'chat', 'responses'];

// ---------------------------------------------------------------- random conversations

const words = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }).filter((s) => s.trim() !== '');
const json = fc
  .dictionary(
    fc.string({ minLength: 1, maxLength: 8 }).filter((k) => k !== '__proto__'),
    fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.constant(null)),
    { maxKeys: 3 },
  )
  .map((value) => JSON.stringify(value));
const name = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_-]{0,20}$/);
const image = fc.oneof(
  fc
    .base64String({ minLength: 4, maxLength: 40 })
    .map((base64) => ({ kind: 'data' as const, mediaType: 'image/png', base64 })),
  fc.webUrl().map((url) => ({ kind: 'url' as const, url })),
);
const text = words.map((t): Part => ({ kind: 'text', text: t }));
const picture = image.map((i): Part => ({ kind: 'image', image: i }));

/** A question, and perhaps a round of parallel calls with their results. */
interface Round {
  readonly asks: readonly Part[];
  readonly says: string | null;
  readonly calls: readonly {
    readonly name: string;
    readonly input: string;
    readonly result: string;
    readonly isError: boolean;
  }[];
}

const round: fc.Arbitrary<Round> = fc.record({
  asks: fc.array(fc.oneof({ weight: 3, arbitrary: text }, picture), { minLength: 1, maxLength: 3 }),
  says: fc.option(words),
  calls: fc.array(fc.record({ name, input: json, result: words, isError: fc.boolean() }), { maxLength: 3 }),
});

function turnsOf(rounds: readonly Round[]): readonly Turn[] {
  let id = 0;
  return rounds.flatMap(({ asks, says, calls }): Turn[] => {
    const ids = calls.map(() => `call_${++id}`);
    const spoken: Part[] = says === null ? [] : [{ kind: 'text', text: says }];
    const made = calls.map(
      (call, i): Part => ({ kind: 'tool-call', id: ids[i] ?? '', name: call.name, input: call.input }),
    );
    const results = calls.map(
      (call, i): Part => ({
        kind: 'tool-result',
        id: ids[i] ?? '',
        content: [{ kind: 'text', text: call.result }],
        isError: call.isError,
      }),
    );
    const answer: Turn[] =
      spoken.length + made.length === 0 ? [] : [{ role: 'assistant', parts: [...spoken, ...made] }];
    return [
      { role: 'user', parts: asks },
      ...answer,
      ...(results.length === 0 ? [] : [{ role: 'user' as const, parts: results }]),
    ];
  });
}

const conversation: fc.Arbitrary<Conversation> = fc.record({
  model: name,
  system: fc.option(words),
  turns: fc.array(round, { minLength: 1, maxLength: 4 }).map(turnsOf),
  tools: fc.uniqueArray(
    fc.record({
      name,
      description: fc.option(words),
      schema: fc.constant({ type: 'object', properties: { a: { type: 'string' } } } as JsonObject),
    }),
    { maxLength: 3, selector: (tool) => tool.name },
  ),
  toolChoice: fc.constantFrom('auto', 'required', 'none', null),
  parallelTools: fc.boolean(),
  maxTokens: fc.integer({ min: 1, max: 100_000 }),
  temperature: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  topP: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  stop: fc.constant([]),
  stream: fc.boolean(),
});

/** What every dialect can carry: neighbours of one role are one turn, errors are said in words, and there is no choice among no tools. */
function plain(c: Conversation): Conversation {
  const turns: Turn[] = [];
  for (const { role, parts } of c.turns) {
    const last = turns.at(-1);
    const clean = parts.map(plainPart);
    if (last?.role === role) turns[turns.length - 1] = { role, parts: joined([...last.parts, ...clean]) };
    else turns.push({ role, parts: joined(clean) });
  }
  const none = c.tools.length === 0;
  const isDefault = c.toolChoice === null || (c.toolChoice === 'auto' && !c.parallelTools);
  return {
    ...c,
    turns,
    toolChoice: none || isDefault ? null : c.toolChoice,
    parallelTools: none || c.toolChoice === 'none' ? true : c.parallelTools,
  };
}

function plainPart(part: Part): Part {
  if (part.kind === 'tool-call') return { ...part, input: JSON.stringify(JSON.parse(part.input)) };
  if (part.kind !== 'tool-result') return part;
  const said = part.content.map((p) =>
    p.kind === 'text' && part.isError && !/^error\b/i.test(p.text) ? { ...p, text: `Error: ${p.text}` } : p,
  );
  return { ...part, content: said, isError: false };
}

/** Texts of one turn that follow each other read as one; results stand first. */
function joined(parts: readonly Part[]): readonly Part[] {
  const ordered = [...parts.filter((p) => p.kind === 'tool-result'), ...parts.filter((p) => p.kind !== 'tool-result')];
  return ordered;
}

const wire = (body: JsonObject): JsonObject => JSON.parse(JSON.stringify(body)) as JsonObject;
const through = (c: Conversation, dialect: Dialect): Conversation => dialect.readRequest(wire(dialect.writeRequest(c)));

describe('requests', () => {
  it.each(NAMES.flatMap((from) => NAMES.map((to) => [from, to] as const)))(
    'say the same in %s, in %s and back',
    async (from, to) => {
      await holds(
        fc.property(conversation, (c) => {
          const there = through(through(c, dialects[from]), dialects[to]);
          const back = through(there, dialects[from]);
          expect(plain(there)).toEqual(plain(c));
          expect(plain(back)).toEqual(plain(c));
        }),
        RUNS,
      );
    },
  );

  it('never throw on what is no request', async () => {
    await holds(
      fc.property(
        fc.dictionary(
          fc.constantFrom('messages', 'input', 'tools', 'system', 'model', 'stop', 'tool_choice', 'content'),
          fc.jsonValue({ maxDepth: 4 }),
        ),
        (body) => {
          for (const a of NAMES)
            for (const b of NAMES) dialects[b].writeRequest(dialects[a].readRequest(body as JsonObject));
        },
      ),
      RUNS,
    );
  });
});

// ---------------------------------------------------------------- random answers

const answer: fc.Arbitrary<Answer> = fc
  .record({
    text: fc.option(words),
    calls: fc.array(fc.record({ name, input: json }), { maxLength: 3 }),
    usage: fc.record({ input: fc.nat(10_000), output: fc.nat(10_000) }),
    long: fc.boolean(),
  })
  .filter(({ text: t, calls }) => t !== null || calls.length > 0)
  .map(({ text: t, calls, usage, long }) => ({
    id: 'abc123',
    model: 'some-model',
    parts: [
      ...(t === null ? [] : [{ kind: 'text' as const, text: t }]),
      ...calls.map(
        (call, i): AnswerPart => ({ kind: 'tool-call', id: `call_${i}`, name: call.name, input: call.input }),
      ),
    ],
    stop: calls.length > 0 ? ('tool-call' as const) : long ? ('length' as const) : ('end' as const),
    usage,
  }));

describe('answers', () => {
  it.each(NAMES)('in one piece survive %s', async (to) => {
    await holds(
      fc.property(answer, (a) => {
        const { id: _, ...read } = dialects[to].readAnswer(wire(dialects[to].writeAnswer(a)));
        const { id: __, ...want } = a;
        expect(read).toEqual(want);
      }),
      RUNS,
    );
  });

  it.each(NAMES.flatMap((from) => NAMES.map((to) => [from, to] as const)))(
    'streamed in %s, cut into any chunks, say the same in %s, by the SDK’s own accumulator',
    async (from, to) => {
      await holds(
        fc.asyncProperty(answer, fc.infiniteStream(fc.integer({ min: 1, max: 60 })), async (a, sizes) => {
          const source = written(dialects[from], eventsOf(a));
          const translated = translateStream(dialects[from], dialects[to], chunks(Buffer.from(source), sizes));
          expect(await accumulated(to, translated)).toEqual(gist(a));
        }),
        STREAMS,
      );
    },
  );

  it.each(NAMES)('cut at any frame in %s and continued elsewhere give one answer', async (to) => {
    await holds(
      fc.asyncProperty(answer, words, fc.nat(), async (a, more, at) => {
        const frames = framesOf(Buffer.from(written(dialects[to], eventsOf(a))));
        const whole = Buffer.from(written(dialects[to], eventsOf(a)));
        // Tool calls are held until the end: what a client can have is what stands before the first one.
        const tool = frames.findIndex((f) => dialects[to].glance(f) === 'tool');
        const stop = frames.findIndex((f) => ['stop', 'end'].includes(dialects[to].glance(f)));
        const most = Math.min(...[tool, stop].filter((i) => i >= 0));
        const had = whole.subarray(0, frames[at % Math.max(1, most)]?.start ?? 0);
        const progress = dialects[to].progress(framesOf(had));
        const writer = dialects[to].writer(progress);
        const rest: AnswerEvent[] = [
          { kind: 'start', id: 'x', model: 'y' },
          { kind: 'text', text: more },
          { kind: 'stop', reason: 'end' },
          { kind: 'end' },
        ];
        const bytes = had.toString() + rest.map((event) => writer.write(event)).join('');
        expect(await accumulated(to, bytes)).toEqual({ text: progress.text + more, tools: [], stop: 'end' });
      }),
      RUNS,
    );
  });
});

interface Gist {
  readonly text: string;
  readonly tools: readonly { readonly name: string; readonly input: unknown }[];
  readonly stop: string;
}

function gist({ parts, stop }: Answer): Gist {
  return {
    text: parts.flatMap((part) => (part.kind === 'text' ? part.text : [])).join(''),
    tools: parts.flatMap((p) =>
      p.kind === 'tool-call' ? [{ name: p.name, input: JSON.parse(p.input) as unknown }] : [],
    ),
    stop,
  };
}

function eventsOf({ id, model, parts, stop, usage }: Answer): readonly AnswerEvent[] {
  const halves = (t: string): readonly string[] => {
    const points = [...t];
    const middle = Math.ceil(points.length / 2);
    return [points.slice(0, middle).join(''), points.slice(middle).join('')];
  };
  return [
    { kind: 'start', id, model },
    ...parts.flatMap((part): AnswerEvent[] =>
      part.kind === 'text'
        ? halves(part.text).map((t) => ({ kind: 'text', text: t }))
        : [
            { kind: 'tool-call', id: part.id, name: part.name },
            ...halves(part.input).map((t): AnswerEvent => ({ kind: 'arguments', text: t })),
          ],
    ),
    { kind: 'usage', usage },
    { kind: 'stop', reason: stop },
    { kind: 'end' },
  ];
}

function written(dialect: Dialect, events: readonly AnswerEvent[]): string {
  const writer = dialect.writer();
  return events.map((event) => writer.write(event)).join('');
}

function* chunks(bytes: Buffer, sizes: Iterator<number>): Generator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const size = (sizes.next().value as number | undefined) ?? 10;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

function translateStream(from: Dialect, to: Dialect, bytes: Iterable<Buffer>): string {
  const gatherer = new FrameGatherer();
  const [reader, writer] = [from.reader(), to.writer()];
  let out = '';
  for (const chunk of bytes)
    for (const frame of framesOf(gatherer.push(chunk)))
      for (const event of reader.push(frame)) out += writer.write(event);
  return out;
}

/** The stream as the official client makes sense of it. */
async function accumulated(dialect: DialectName, body: string): Promise<Gist> {
  const fetch = async (): Promise<Response> => new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  if (dialect === 'messages') {
    const client = anthropicClient('http://127.0.0.1:9').withOptions({ fetch });
    const message: Anthropic.Message = await client.messages
      .stream({ model: 'm', max_tokens: 1, messages: [] })
      .finalMessage();
    const stops: Record<string, string> = { end_turn: 'end', max_tokens: 'length', tool_use: 'tool-call' };
    return {
      text: message.content.flatMap((b) => (b.type === 'text' ? b.text : [])).join(''),
      tools: message.content.flatMap((b) => (b.type === 'tool_use' ? [{ name: b.name, input: b.input }] : [])),
      stop: stops[message.stop_reason ?? ''] ?? '?',
    };
  }
  const client = openaiClient('http://127.0.0.1:9').withOptions({ fetch });
  if (dialect === 'chat') {
    const stream = await client.chat.completions.create({ model: 'm', messages: [], stream: true });
    return gatherChat(stream);
  }
  const response = await client.responses.stream({ model: 'm', input: 'x' }).finalResponse();
  const tools = response.output.flatMap((i) =>
    i.type === 'function_call' ? [{ name: i.name, input: JSON.parse(i.arguments) as unknown }] : [],
  );
  const stop = response.status === 'incomplete' ? 'length' : tools.length > 0 ? 'tool-call' : 'end';
  return { text: response.output_text, tools, stop };
}

/** The SDK's own accumulator refuses an answer that was cut by its length; this one is its published example. */
async function gatherChat(stream: AsyncIterable<OpenAI.ChatCompletionChunk>): Promise<Gist> {
  let [said, stop] = ['', ''];
  const calls: { name: string; input: string }[] = [];
  for await (const { choices } of stream) {
    said += choices[0]?.delta.content ?? '';
    for (const call of choices[0]?.delta.tool_calls ?? []) {
      const known = (calls[call.index] ??= { name: '', input: '' });
      known.name += call.function?.name ?? '';
      known.input += call.function?.arguments ?? '';
    }
    stop = choices[0]?.finish_reason ?? stop;
  }
  const stops: Record<string, string> = { stop: 'end', length: 'length', tool_calls: 'tool-call' };
  return {
    text: said,
    tools: calls.map((c) => ({ name: c.name, input: JSON.parse(c.input) as unknown })),
    stop: stops[stop] ?? '?',
  };
}
