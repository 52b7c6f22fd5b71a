// How the Bot API reads formatted text, after the parser of its open-source server (TDLib), with its own
// words for what is wrong. The fake refuses exactly what the real one would refuse.

export interface Entity {
  readonly type: string;
  /** UTF-16 units, as the Bot API counts. */
  readonly offset: number;
  readonly length: number;
  readonly url?: string;
}

export interface FormattedText {
  readonly text: string;
  readonly entities: readonly Entity[];
}

/** A text the server refuses; `message` begins with `can't parse entities`. */
export class EntityError extends Error {
  constructor(detail: string) {
    super(`can't parse entities: ${detail}`);
    this.name = 'EntityError';
  }
}

const TYPES: Readonly<Record<string, string>> = {
  a: 'text_link',
  b: 'bold',
  strong: 'bold',
  i: 'italic',
  em: 'italic',
  u: 'underline',
  ins: 'underline',
  s: 'strikethrough',
  strike: 'strikethrough',
  del: 'strikethrough',
  'tg-spoiler': 'spoiler',
  span: 'spoiler',
  'tg-emoji': 'custom_emoji',
  code: 'code',
  pre: 'pre',
  blockquote: 'blockquote',
};

interface OpenTag {
  readonly name: string;
  readonly offset: number;
  readonly url: string;
}

/**
 * Parses `parse_mode: HTML`. Throws `EntityError`. Offsets in errors count UTF-8 bytes, as the server's do.
 *
 * @example parseHtml('<b>a</b>').text // 'a'
 */
export function parseHtml(source: string): FormattedText {
  const open: OpenTag[] = [];
  const entities: Entity[] = [];
  let text = '';
  for (let i = 0; i < source.length; ) {
    const character = source[i] as string;
    const decoded = character === '&' ? decodeReference(source, i) : null;
    if (decoded) {
      text += decoded.text;
      i = decoded.end;
    } else if (character !== '<') {
      text += character;
      i++;
    } else if (source[i + 1] === '/') {
      i = endTag(source, i, open, (tag) => entities.push(entityOf(tag, text.length)));
    } else {
      const tag = startTag(source, i);
      open.push({ name: tag.name, offset: text.length, url: tag.value });
      i = tag.end;
    }
  }
  const unclosed = open.at(-1);
  if (unclosed) throw new EntityError(`Can't find end tag corresponding to start tag "${unclosed.name}"`);
  return { text, entities: entities.filter((entity) => entity.length > 0) };
}

function entityOf(tag: OpenTag, end: number): Entity {
  const type = TYPES[tag.name] as string;
  const base = { type, offset: tag.offset, length: end - tag.offset };
  return type === 'text_link' ? { ...base, url: tag.url } : base;
}

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"' };

/** `&lt;` and its kin; anything else that begins with `&` is plain text. */
function decodeReference(source: string, at: number): { readonly text: string; readonly end: number } | null {
  const match = /^&(?:#(\d{1,7});?|#x([0-9a-f]{1,6});?|(lt|gt|amp|quot);)/i.exec(source.slice(at, at + 12));
  if (!match) return null;
  const [whole, decimal, hexadecimal, name] = match;
  const end = at + whole.length;
  if (name) return { text: NAMED[name.toLowerCase()] ?? whole, end };
  const code = decimal ? Number.parseInt(decimal, 10) : Number.parseInt(hexadecimal as string, 16);
  return code > 0 && code <= 0x10ffff ? { text: String.fromCodePoint(code), end } : null;
}

function startTag(source: string, begin: number): { name: string; value: string; end: number } {
  let i = begin + 1;
  while (i < source.length && !/[\s>]/.test(source[i] as string)) i++;
  if (i >= source.length) throw new EntityError(`Unclosed start tag at byte offset ${bytes(source, begin)}`);
  const name = source.slice(begin + 1, i).toLowerCase();
  if (!(name in TYPES)) throw new EntityError(`Unsupported start tag "${name}" at byte offset ${bytes(source, begin)}`);
  let value = '';
  for (;;) {
    i = skipSpace(source, i);
    if (source[i] === '>') break;
    const attribute = readAttribute(source, i, name, begin);
    i = attribute.end;
    if ((name === 'a' && attribute.name === 'href') || (name === 'span' && attribute.name === 'class'))
      value = attribute.value;
  }
  if (name === 'span' && value !== 'tg-spoiler')
    throw new EntityError(`Tag "span" must have class "tg-spoiler" at byte offset ${bytes(source, begin)}`);
  return { name, value, end: i + 1 };
}

function readAttribute(
  source: string,
  from: number,
  tag: string,
  begin: number,
): { name: string; value: string; end: number } {
  const where = `at byte offset ${bytes(source, begin)}`;
  let i = from;
  while (i < source.length && !/[\s=]/.test(source[i] as string)) i++;
  const name = source.slice(from, i).toLowerCase();
  if (!name) throw new EntityError(`Empty attribute name in the tag "${tag}" ${where}`);
  i = skipSpace(source, i);
  if (source[i] !== '=')
    throw new EntityError(`Expected equal sign in declaration of an attribute of the tag "${tag}" ${where}`);
  i = skipSpace(source, i + 1);
  const quote = source[i];
  if (quote === undefined) throw new EntityError(`Unclosed start tag ${where}`);
  if (quote !== '"' && quote !== "'") return nameToken(source, i, name);
  const end = source.indexOf(quote, i + 1);
  if (end < 0 || end + 1 >= source.length) throw new EntityError(`Unclosed start tag ${where}`);
  return { name, value: source.slice(i + 1, end), end: end + 1 };
}

function nameToken(source: string, begin: number, name: string): { name: string; value: string; end: number } {
  let i = begin;
  while (i < source.length && /[a-z0-9.-]/i.test(source[i] as string)) i++;
  if (!/[\s>]/.test(source[i] ?? ''))
    throw new EntityError(`Unexpected end of name token at byte offset ${bytes(source, begin)}`);
  return { name, value: source.slice(begin, i).toLowerCase(), end: i };
}

function endTag(source: string, begin: number, open: OpenTag[], close: (tag: OpenTag) => void): number {
  const where = `at byte offset ${bytes(source, begin)}`;
  const tag = open.pop();
  if (!tag) throw new EntityError(`Unexpected end tag ${where}`);
  let i = begin + 2;
  while (i < source.length && !/[\s>]/.test(source[i] as string)) i++;
  const name = source.slice(begin + 2, i).toLowerCase();
  i = skipSpace(source, i);
  if (source[i] !== '>') throw new EntityError(`Unclosed end tag ${where}`);
  if (name && name !== tag.name)
    throw new EntityError(`Unmatched end tag ${where}, expected "</${tag.name}>", found "</${name}>"`);
  close(tag);
  return i + 1;
}

function skipSpace(source: string, from: number): number {
  let i = from;
  while (i < source.length && /\s/.test(source[i] as string)) i++;
  return i;
}

function bytes(source: string, end: number): number {
  return Buffer.byteLength(source.slice(0, end));
}

const RESERVED = new Set('_*[]()~`>#+-=|{}.!'.split(''));
const MARKS: Readonly<Record<string, string>> = {
  '*': 'bold',
  _: 'italic',
  __: 'underline',
  '~': 'strikethrough',
  '||': 'spoiler',
};

/** Parses `parse_mode: MarkdownV2`, as far as its marks, code and links go. Throws `EntityError`. */
export function parseMarkdownV2(source: string): FormattedText {
  const open: { readonly mark: string; readonly offset: number; readonly at: number }[] = [];
  const entities: Entity[] = [];
  let text = '';
  for (let i = 0; i < source.length; ) {
    const character = source[i] as string;
    if (character === '\\' && i + 1 < source.length && source.charCodeAt(i + 1) <= 126) {
      text += source[i + 1];
      i += 2;
      continue;
    }
    if (character === '`') {
      const fence = source.startsWith('```', i) ? '```' : '`';
      const end = source.indexOf(fence, i + fence.length);
      if (end < 0) throw unfinished(fence === '`' ? 'Code' : 'PreCode', source, i);
      const inside = source.slice(i + fence.length, end);
      entities.push({ type: fence === '`' ? 'code' : 'pre', offset: text.length, length: inside.length });
      text += inside;
      i = end + fence.length;
      continue;
    }
    const mark = markAt(source, i);
    if (mark) {
      const top = open.at(-1);
      if (top?.mark === mark) {
        open.pop();
        entities.push({ type: MARKS[mark] as string, offset: top.offset, length: text.length - top.offset });
      } else open.push({ mark, offset: text.length, at: i });
      i += mark.length;
      continue;
    }
    if (RESERVED.has(character) && !(character === '>' && (i === 0 || source[i - 1] === '\n')))
      throw new EntityError(`Character '${character}' is reserved and must be escaped with the preceding '\\'`);
    if (character !== '>') text += character;
    i++;
  }
  const left = open.at(-1);
  if (left) throw unfinished(capitalised(MARKS[left.mark] as string), source, left.at);
  return { text, entities };
}

function markAt(source: string, at: number): string | null {
  for (const mark of ['||', '__', '*', '_', '~']) if (source.startsWith(mark, at)) return mark;
  return null;
}

function unfinished(what: string, source: string, at: number): EntityError {
  return new EntityError(`Can't find end of ${what} entity at byte offset ${bytes(source, at)}`);
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

const FOUND: readonly { readonly type: string; readonly pattern: RegExp }[] = [
  { type: 'url', pattern: /(?:https?:\/\/|tg:\/\/|www\.)[^\s<>"]+/gi },
  { type: 'email', pattern: /[\w.+-]+@[\w-]+\.[a-z]{2,}/gi },
  { type: 'url', pattern: /(?<![\w@./-])(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}(?![\w-])(?:\/[^\s<>"]*)?/giu },
  { type: 'url', pattern: /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])/g },
  { type: 'mention', pattern: /(?<![\p{L}\p{N}_/])@[a-z]\w{3,31}/giu },
  { type: 'bot_command', pattern: /(?<![\w/<>@])\/\w{1,64}(?:@\w{3,32})?(?![\w/])/g },
  { type: 'hashtag', pattern: /(?<![\p{L}\p{N}_/])#(?=[\p{L}\p{N}_]*[\p{L}_])[\p{L}\p{N}_]{1,256}/gu },
  { type: 'cashtag', pattern: /(?<!\w)\$[A-Z]{1,8}(?!\w)/g },
  { type: 'bank_card_number', pattern: /(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)/g },
];

/**
 * What a client would make tappable by itself in the parts that are not code: links, mentions, commands. It finds
 * rather too much than too little, so that a test for "nothing tappable" errs on the safe side.
 */
export function tappable(formatted: FormattedText): readonly Entity[] {
  const quiet = formatted.entities.filter((e) => e.type === 'code' || e.type === 'pre');
  const found: Entity[] = formatted.entities.filter((e) => e.type === 'text_link');
  for (const { type, pattern } of FOUND)
    for (const match of formatted.text.matchAll(pattern)) {
      const entity = { type, offset: match.index, length: match[0].length };
      if (!quiet.some((q) => entity.offset >= q.offset && entity.offset < q.offset + q.length)) found.push(entity);
    }
  return found;
}
