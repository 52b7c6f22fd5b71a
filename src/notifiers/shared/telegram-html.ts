// Plain text becomes Telegram's HTML: escaped once, nothing in it tappable, cut before escaping so that no
// entity is ever torn. The 4,096 limit counts what is left after parsing, in UTF-16 units.

import { clip, visible } from '../../core/visible.ts';

export const TEXT_LIMIT = 4096;
/** Room that is never used, for a server that counts differently. */
const MARGIN = 96;

export interface TelegramText {
  readonly html: string;
  /** The same without formatting, for a server that does not like ours; what it would make tappable is pulled apart. */
  readonly plain: string;
}

export interface Parts {
  readonly title?: string;
  readonly body: string;
  readonly excerpt?: string | undefined;
}

/** Escapes for HTML parse mode. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/**
 * A message of a bold title, lines, and a quoted excerpt, within the limit. What does not fit is cut from the
 * excerpt first, then from the body.
 */
export function telegramText({ title, body, excerpt }: Parts): TelegramText {
  const head = title === undefined ? '' : clip(flat(title), 300);
  const room = TEXT_LIMIT - MARGIN - head.length;
  const quoteRoom = Math.max(200, room - visible(body).length);
  const quote = excerpt ? clip(visible(excerpt).trim(), Math.min(quoteRoom, room)) : '';
  const text = clip(visible(body).trim(), Math.max(0, room - quote.length));
  return {
    html: [head && headHtml(head), text && quiet(text), quote && `<pre>${escapeHtml(quote)}</pre>`]
      .filter(Boolean)
      .join('\n'),
    plain: clip([head, text, quote].filter(Boolean).map(defused).join('\n'), TEXT_LIMIT),
  };
}

/** Code cannot stand inside bold: a title with such a word goes without. */
function headHtml(head: string): string {
  const inner = quiet(head);
  return inner.includes('<code>') ? inner : `<b>${inner}</b>`;
}

function flat(text: string): string {
  return visible(text).replace(/\s+/g, ' ').trim();
}

/** Clients turn such words into links, mentions and commands by themselves: in code they stay words. */
const TAPPABLE: readonly RegExp[] = [
  /@|:\/\/|www\./i,
  // Domains in any script, and addresses of hosts.
  /[\p{L}\p{N}_-]\.\p{L}|\d\.\d{1,3}\.\d{1,3}\.\d/u,
  // Commands, tags and tickers, also behind a mark inside the word, as in `a|/stop`.
  /(?<!\w)(?:\/[\p{L}\p{N}_]|\$\p{L}|#[\p{N}·]*[\p{L}\p{M}_])/u,
  // Telephone numbers.
  /^\+?\d[\d-]{6,}$/,
];
/** Numbers of bank cards are recognised across spaces, so they are looked for before the words. */
const CARD = /((?<!\d)\d(?:[ -]?\d){12,})/;
const TRIMMINGS = /^([("'[{«]*)(.*?)([)"'\]}»,;:!?.]*)$/su;

/** Escapes, and puts every word that a client would make tappable into `<code>`. */
function quiet(text: string): string {
  return eachWord(text, quietWord, code);
}

/** Without code, only a gap keeps a word from becoming a link or a command. */
function defused(text: string): string {
  return eachWord(
    text,
    (word) => (isTappable(word) ? word.replaceAll(/[@/.#$](?=\S)/g, '$& ') : word),
    (number) => number.replaceAll(/\d{4}(?=.)/g, '$&·'),
  );
}

function eachWord(text: string, word: (text: string) => string, card: (number: string) => string): string {
  return text
    .split(CARD)
    .map((part, index) => (index % 2 === 1 ? card(part) : part.split(/(\s+)/).map(word).join('')))
    .join('');
}

function isTappable(word: string): boolean {
  return TAPPABLE.some((pattern) => pattern.test(word));
}

function quietWord(word: string): string {
  if (!isTappable(word)) return escapeHtml(word);
  const [, before = '', core = word, after = ''] = TRIMMINGS.exec(word) ?? [];
  return `${escapeHtml(before)}${code(core)}${escapeHtml(after)}`;
}

function code(text: string): string {
  return text && `<code>${escapeHtml(text)}</code>`;
}

/**
 * Splits long text at line ends into pieces that fit. At most `most` pieces; what is left over is for a file.
 */
export function splitText(
  text: string,
  most: number,
  limit = TEXT_LIMIT - MARGIN,
): { readonly pieces: readonly string[]; readonly rest: boolean } {
  const pieces: string[] = [];
  let piece = '';
  for (const line of visible(text)
    .split('\n')
    .flatMap((l) => chunks(l, limit))) {
    if (piece && piece.length + 1 + line.length > limit) {
      pieces.push(piece);
      piece = line;
    } else piece = piece ? `${piece}\n${line}` : line;
    if (pieces.length >= most) return { pieces, rest: true };
  }
  if (piece.trim()) pieces.push(piece);
  return { pieces, rest: false };
}

/** Cuts a line that is too long by itself, never through a character. */
function chunks(line: string, limit: number): readonly string[] {
  const out: string[] = [];
  let rest = line;
  while (rest.length > limit) {
    const high = rest.charCodeAt(limit - 1);
    const end = high >= 0xd800 && high <= 0xdbff ? limit - 1 : limit;
    out.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  return [...out, rest];
}
