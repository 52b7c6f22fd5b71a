// A language model of 900 KB whose weights are set by hand: the real llama.cpp loads it, and it says one exact sentence; with
// tools in its prompt it makes one exact call, and with a result there it says another sentence. File format:
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The trick: one attention head looks for a mark in the prompt,
// which chooses the first word; each word's output row names its successor.

import { writeFileSync } from 'node:fs';

export const SCRIPT = {
  text: 'The local model answers while the provider rests.',
  tool: { name: 'get_weather', arguments: { city: 'Paris' } },
  closing: 'It is sunny in Paris, says the local model.',
} as const;

const WIDTH = 128;
const HEADS = 2;
const FEED = 32;
/** Dimensions with a meaning; words have one each from `WORDS` on. */
const DIM = { other: 0, sawTools: 1, sawResult: 2, always: 3, isTools: 4, isResult: 5, words: 8 } as const;
const CONTEXT = 16_384;

type Matrix = { readonly rows: number; readonly columns: number; readonly data: Float32Array };

const zeros = (rows: number, columns: number): Matrix => ({ rows, columns, data: new Float32Array(rows * columns) });
const add = ({ data, columns }: Matrix, row: number, column: number, value: number): void => {
  data[row * columns + column] = (data[row * columns + column] ?? 0) + value;
};

// ---------------------------------------------------------------- words

interface Vocabulary {
  readonly tokens: string[];
  /** 1: normal. 3: control. 4: matched whole in a text. */
  readonly types: number[];
}

/** GPT-2's printable stand-ins for bytes. */
function byteLetters(): readonly string[] {
  const printable = (b: number): boolean => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
}

const LETTERS = byteLetters();
const spelled = (text: string): string => [...Buffer.from(text)].map((b) => LETTERS[b]).join('');

interface Words {
  readonly vocabulary: Vocabulary;
  readonly end: number;
  readonly start: number;
  readonly tools: number;
  readonly result: number;
  readonly chains: {
    readonly text: readonly number[];
    readonly call: readonly number[];
    readonly closing: readonly number[];
  };
}

function makeWords(): Words {
  const vocabulary: Vocabulary = { tokens: [...LETTERS], types: LETTERS.map(() => 1) };
  const token = (text: string, type: number): number => {
    vocabulary.types.push(type);
    return vocabulary.tokens.push(text) - 1;
  };
  const start = token('<|im_start|>', 3);
  const end = token('<|im_end|>', 3);
  const tools = token('<tools>', 4);
  const result = token('<tool_response>', 4);
  const open = token('<tool_call>', 4);
  const close = token('</tool_call>', 4);
  // Pieces of nine letters: no two of the script are equal, and a token must not stand twice.
  const sentence = (text: string): number[] => (text.match(/.{1,9}/g) ?? []).map((piece) => token(spelled(piece), 1));
  const call = `{"name": "${SCRIPT.tool.name}", "arguments": ${JSON.stringify(SCRIPT.tool.arguments)}}`;
  return {
    vocabulary,
    start,
    end,
    tools,
    result,
    chains: {
      text: sentence(SCRIPT.text),
      call: [
        open,
        token(spelled(`\n${call.slice(0, 20)}`), 1),
        token(spelled(call.slice(20)), 1),
        token(spelled('\n'.repeat(2)), 1),
        close,
      ],
      closing: sentence(SCRIPT.closing),
    },
  };
}

// ---------------------------------------------------------------- weights

function makeWeights({ vocabulary, tools, result, end, chains }: Words): ReadonlyMap<string, Matrix> {
  const size = vocabulary.tokens.length;
  const words = [...chains.text, ...chains.call, ...chains.closing];
  const dimOf = new Map(words.map((word, i) => [word, DIM.words + i]));
  if (DIM.words + words.length > WIDTH) throw new Error('the script is too long for this width');
  const embedding = zeros(size, WIDTH);
  for (let t = 0; t < size; t++) {
    add(embedding, t, DIM.always, 1);
    add(embedding, t, dimOf.get(t) ?? DIM.other, 1);
  }
  add(embedding, tools, DIM.isTools, 1);
  add(embedding, result, DIM.isResult, 1);

  const output = zeros(size, WIDTH);
  const opening = (
    chain: readonly number[],
    weights: Partial<Record<'other' | 'sawTools' | 'sawResult', number>>,
  ): void => {
    for (const [name, weight] of Object.entries(weights))
      add(output, chain[0] ?? 0, DIM[name as keyof typeof weights], weight);
  };
  opening(chains.text, { other: 10, sawTools: -20, sawResult: -20 });
  opening(chains.call, { other: 5, sawTools: 10, sawResult: -40 });
  opening(chains.closing, { other: 5, sawTools: -20, sawResult: 10 });
  for (const chain of Object.values(chains))
    for (const [i, word] of chain.entries()) add(output, chain[i + 1] ?? end, dimOf.get(word) ?? 0, 150);

  const [query, key, value, back] = [
    zeros(WIDTH, WIDTH),
    zeros(WIDTH, WIDTH),
    zeros(WIDTH, WIDTH),
    zeros(WIDTH, WIDTH),
  ];
  // The last row of the head turns so slowly with the position that it does not turn at all.
  const row = WIDTH / HEADS - 1;
  add(query, row, DIM.always, 4);
  add(key, row, DIM.isTools, 4);
  add(key, row, DIM.isResult, 8);
  add(value, 0, DIM.isTools, 1);
  add(value, 1, DIM.isResult, 1);
  add(back, DIM.sawTools, 0, 0.5);
  add(back, DIM.sawResult, 1, 0.5);
  const ones: Matrix = { rows: 1, columns: WIDTH, data: new Float32Array(WIDTH).fill(1) };
  return new Map([
    ['token_embd.weight', embedding],
    ['output_norm.weight', ones],
    ['output.weight', output],
    ['blk.0.attn_norm.weight', ones],
    ['blk.0.attn_q.weight', query],
    ['blk.0.attn_k.weight', key],
    ['blk.0.attn_v.weight', value],
    ['blk.0.attn_output.weight', back],
    ['blk.0.ffn_norm.weight', ones],
    ['blk.0.ffn_gate.weight', zeros(FEED, WIDTH)],
    ['blk.0.ffn_up.weight', zeros(FEED, WIDTH)],
    ['blk.0.ffn_down.weight', zeros(WIDTH, FEED)],
  ]);
}

// ---------------------------------------------------------------- the file

/** ChatML with tools in the manner of Hermes, which llama.cpp reads calls out of. */
const TEMPLATE = `{%- if tools %}<|im_start|>system
{%- if messages[0].role == 'system' %}
{{ messages[0].content }}
{%- endif %}

You may call one or more functions. Signatures within <tools></tools>:
<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools>
For each function call return a json object within <tool_call></tool_call> tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% elif messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == 'user' or (message.role == 'assistant' and not message.tool_calls) %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% elif message.role == 'assistant' %}<|im_start|>assistant
{%- if message.content %}
{{ message.content }}
{%- endif %}
{%- for call in message.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% elif message.role == 'tool' %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;

const TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, text: 8, list: 9 } as const;
const ALIGN = 32;

class Bytes {
  readonly #parts: Buffer[] = [];
  size = 0;

  push(part: Buffer): void {
    this.#parts.push(part);
    this.size += part.length;
  }
  number(size: 4 | 8, write: (b: Buffer) => void): void {
    const b = Buffer.alloc(size);
    write(b);
    this.push(b);
  }
  u32(n: number): void {
    this.number(4, (b) => b.writeUInt32LE(n));
  }
  u64(n: number): void {
    this.number(8, (b) => b.writeBigUInt64LE(BigInt(n)));
  }
  text(t: string): void {
    const b = Buffer.from(t);
    this.u64(b.length);
    this.push(b);
  }
  pad(): void {
    this.push(Buffer.alloc((ALIGN - (this.size % ALIGN)) % ALIGN));
  }
  all(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Writes the model. */
export function writeScriptedModel(path: string): void {
  const words = makeWords();
  const weights = makeWeights(words);
  const out = new Bytes();
  const key = (name: string, type: number): void => {
    out.text(name);
    out.u32(type);
  };
  const pairs: (() => void)[] = [];
  const text = (name: string, value: string) => pairs.push(() => (key(name, TYPE.text), out.text(value)));
  const u32 = (name: string, value: number) => pairs.push(() => (key(name, TYPE.u32), out.u32(value)));
  const f32 = (name: string, value: number) =>
    pairs.push(() => (key(name, TYPE.f32), out.number(4, (b) => b.writeFloatLE(value))));
  const list = (name: string, type: number, items: readonly unknown[], write: (item: never) => void) =>
    pairs.push(() => {
      key(name, TYPE.list);
      out.u32(type);
      out.u64(items.length);
      for (const item of items) write(item as never);
    });
  text('general.architecture', 'llama');
  text('general.name', 'selfheal scripted');
  u32('llama.context_length', CONTEXT);
  u32('llama.embedding_length', WIDTH);
  u32('llama.block_count', 1);
  u32('llama.feed_forward_length', FEED);
  u32('llama.attention.head_count', HEADS);
  u32('llama.attention.head_count_kv', HEADS);
  f32('llama.attention.layer_norm_rms_epsilon', 1e-5);
  u32('llama.rope.dimension_count', WIDTH / HEADS);
  f32('llama.rope.freq_base', 1e18);
  u32('llama.vocab_size', words.vocabulary.tokens.length);
  text('tokenizer.ggml.model', 'gpt2');
  text('tokenizer.ggml.pre', 'smollm');
  list('tokenizer.ggml.tokens', TYPE.text, words.vocabulary.tokens, (t: string) => out.text(t));
  list('tokenizer.ggml.token_type', TYPE.i32, words.vocabulary.types, (n: number) => out.u32(n));
  list('tokenizer.ggml.merges', TYPE.text, [], (t: string) => out.text(t));
  u32('tokenizer.ggml.bos_token_id', words.start);
  u32('tokenizer.ggml.eos_token_id', words.end);
  pairs.push(() => (key('tokenizer.ggml.add_bos_token', TYPE.bool), out.push(Buffer.from([0]))));
  text('tokenizer.chat_template', TEMPLATE);

  out.push(Buffer.from('GGUF'));
  out.u32(3);
  out.u64(weights.size);
  out.u64(pairs.length);
  for (const pair of pairs) pair();
  let offset = 0;
  for (const [name, { rows, columns, data }] of weights) {
    out.text(name);
    out.u32(rows === 1 ? 1 : 2);
    out.u64(columns);
    if (rows !== 1) out.u64(rows);
    out.u32(0);
    out.u64(offset);
    offset += Math.ceil(data.byteLength / ALIGN) * ALIGN;
  }
  for (const { data } of weights.values()) {
    out.pad();
    out.push(Buffer.from(data.buffer));
  }
  out.pad();
  writeFileSync(path, out.all());
}
