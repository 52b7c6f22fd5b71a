// Parses a record once: what it says (utterances), how loudly (level or marks), who says it, and whether
// it could be somebody's quotation. Everything downstream works on this and never on raw lines.

import { remembering } from '../core/memo.ts';
import type { LogRecord, Trace } from '../core/record.ts';
import { BEFORE_UNSEEN } from './framer.ts';
import type { Framed } from './open-record.ts';
import { atLeast } from './levels.ts';
import { isCarriedHead, peel, type Peeled } from './prefixes.ts';
import { readJson, readLogfmt, type Structured, trailingError } from './structured.ts';
import { exceptionIn, readTrace } from './traces.ts';

/** One thing the program said. Depth grows towards the root cause. */
export interface Utterance {
  readonly text: string;
  readonly role: 'message' | 'exception' | 'body';
  readonly depth: number;
}

/**
 * `loud`: level warn or worse, a trace, or a mark such as `fatal:`. `plain`: no level known. `calm`: the program itself
 * calls it information. `silent`: prose, listings, lists; nothing is reported from those.
 */
export type Voice = 'loud' | 'plain' | 'calm' | 'silent';

export interface Reading {
  readonly record: LogRecord;
  readonly utterances: readonly Utterance[];
  readonly voice: Voice;
  readonly structured: Structured | null;
  /** Why the text may be an imitation, or null. Such a record may be reported and is never acted on. */
  readonly suspicion: string | null;
  /** Our own output: never looked at, or we would heal ourselves in circles. */
  readonly own: boolean;
}

export interface Stream {
  readonly source: string;
  readonly file?: string;
  readonly service: string | null;
}

const UTTERANCE_KEPT = 8_000;
const BODY_LINES = 40;
const TEXT_KEPT = 64 * 1024;

/** Reads a framed record. `now` is when we saw it, epoch milliseconds. */
export function read(framed: Framed, stream: Stream, now: number): Reading {
  const lines = framed.lines.map((line) => decode(line));
  const inner = framed.lines.map((line, i) => decode(line.slice(framed.from[i] ?? 0)));
  const head = peel(lines[0] ?? '', now);
  const structured = structuredOf(head, inner, now);
  const body = bodyOf(inner, head, structured);
  const message = structured?.message ?? (head.message || (body.find((line) => line.trim() !== '') ?? '').trim());
  // The stack that a structured line carries names its exception by itself.
  const ahead = structured?.detail ? [] : structured ? message.split('\n') : [message];
  const found = readTrace([...ahead, ...body]);
  const skip = ahead.length;
  const trace = found?.trace ?? lone(structured, message);
  const words = body.filter((line, i) => line.trim() !== '' && !found?.used.has(i + skip));
  const record = recordOf(framed, stream, { head, structured, message, trace, text: textOf(framed), now });
  const loud = record.level !== undefined && atLeast(record.level, 'warn');
  const utterances = utterancesOf(message, words, trace, structured, loud, structured ? null : (inner[0] ?? null));
  return {
    record,
    utterances,
    structured,
    voice: voiceOf(record, message, utterances),
    suspicion: suspicionOf(framed, record, now),
    own: isOwn(record, head, message),
  };
}

/** The text of a record, decoded. */
export function textOf({ lines }: Pick<Framed, 'lines'>): string {
  return (lines.length === 1 ? decode(lines[0] ?? '') : lines.map(decode).join('\n')).slice(0, TEXT_KEPT);
}

/** Latin1 characters are bytes: anything beyond ASCII is decoded as UTF-8, broken bytes become U+FFFD. */
export function decode(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) return text;
    if (code > 0x7f) return Buffer.from(text, 'latin1').toString('utf8');
  }
  return text;
}

function structuredOf(head: Peeled, inner: readonly string[], now: number): Structured | null {
  const first = inner[0] ?? '';
  if (head.message.startsWith('{')) {
    const whole = inner.length > 1 && /^\s*\{\s*$/.test(first) ? inner.join('\n') : head.message;
    return readJson(whole, now);
  }
  return readLogfmt(first, now) ?? readLogfmt(head.message, now);
}

/** The lines below the message; a prefix that the writer repeats on them is taken off. */
function bodyOf(inner: readonly string[], head: Peeled, structured: Structured | null): readonly string[] {
  if (structured) return structured.detail?.split('\n') ?? [];
  return inner.slice(1).map((line) => {
    if (head.time === undefined || !isCarriedHead(line, 0)) return line;
    const next = peel(line, 0);
    return next.time === undefined && next.level === undefined ? line : next.message;
  });
}

/** `Type: message` without frames is a trace of its own when the line is nothing else. */
function lone(structured: Structured | null, message: string): Trace | undefined {
  const text = structured?.exception ?? message;
  const found = exceptionIn(text.split('\n', 1)[0] ?? '');
  if (!found || found.index > 0) return undefined;
  return { language: 'other', type: found.type, message: found.message, frames: [], causes: [] };
}

interface Parts {
  readonly head: Peeled;
  readonly structured: Structured | null;
  readonly message: string;
  readonly trace: Trace | undefined;
  readonly text: string;
  readonly now: number;
}

function recordOf(framed: Framed, stream: Stream, parts: Parts): LogRecord {
  const { head, structured, trace } = parts;
  const { event } = framed;
  const time = event?.time ?? structured?.time ?? head.time;
  const level = event?.level ?? structured?.level ?? head.level;
  const logger = structured?.logger ?? head.logger ?? event?.logger ?? head.tags[0];
  return {
    source: event?.source ?? stream.source,
    ...(stream.file === undefined ? {} : { file: stream.file }),
    service: event ? event.service : stream.service,
    span: framed.span,
    ...(time === undefined ? {} : { time }),
    seenAt: parts.now,
    ...(level === undefined ? {} : { level }),
    ...(logger === undefined ? {} : { logger }),
    message: parts.message.split('\n', 1)[0] ?? '',
    ...(trace === undefined ? {} : { trace }),
    text: parts.text,
    ...(event?.exit === undefined ? {} : { exit: event.exit }),
  };
}

// ---------------------------------------------------------------- what is said

function utterancesOf(
  message: string,
  words: readonly string[],
  trace: Trace | undefined,
  structured: Structured | null,
  loud: boolean,
  whole: string | null,
): readonly Utterance[] {
  const list: Utterance[] = [];
  const add = (text: string, role: Utterance['role'], depth: number): void => {
    const cut = text.slice(0, UTTERANCE_KEPT);
    if (cut.trim() !== '' && !list.some((one) => one.text === cut && one.role === role))
      list.push({ text: cut, role, depth });
  };
  add(message, 'message', 0);
  // `fatal: …` of git and `ERROR: …` of pip are levels, and part of what the tool says.
  if (whole !== null && /^(?:error|fatal|ERROR|FATAL): /.test(whole)) add(whole, 'message', 0);
  if (trace)
    [trace, ...trace.causes].forEach((one, i) =>
      add(one.message ? `${one.type}: ${one.message}` : one.type, 'exception', i + 1),
    );
  if (structured?.exception) add(structured.exception, 'exception', 1);
  // What a calm line quotes is no exception of its own.
  const embedded = exceptionIn(loud ? message : withoutQuotes(message));
  if (embedded) add(embedded.message ? `${embedded.type}: ${embedded.message}` : embedded.type, 'exception', 1);
  const trailing = structured ? null : trailingError(loud ? message : withoutQuotes(message));
  if (trailing) add(trailing, 'body', 1);
  if (structured?.code) add(structured.code, 'body', 1);
  if (structured?.status) add(`status code ${structured.status}`, 'body', 1);
  for (const line of words.slice(0, BODY_LINES)) add(line.trim(), 'body', 1);
  if (words.length > BODY_LINES) for (const line of words.slice(-5)) add(line.trim(), 'body', 1);
  return list;
}

// ---------------------------------------------------------------- how it is said

/** What a program writes before an error when it has no levels. */
const MARK =
  /^(?:(?:❌|✗|✖|✘|⨯|×|🔴|💥|🚨|│)\uFE0F?\s*)?(?:\[ERROR\] |\[[\w@/ -]{1,30}\] )?(?:\S{1,40}: )?(?:(?:Internal|Unexpected|Unhandled|CMake|make|npm|Request|Server|Runtime|Build|Compile) )?(?:fatal|error|failure|critical|panic|abort(?:ed)?|uncaught|unhandled|failed|ERROR|FATAL|\w*ERR!|Fatal error|Parse error|Traceback)\b(?!\s*(?:=|:?\s*(?:0|none|no)\b))[^=]|^(?:\(\s?!\s?\)|<b>(?:Warning|Fatal error|Parse error|Notice)<\/b>)/i;
const LISTING =
  /^\s*(?:[-*•·▪◦] |\d{1,3}[.)] |#{1,6} (?!A fatal error has been detected by )|> |\/\/|\/\*|<!--|✅|☑|✓|✔|(?:commit )?[0-9a-f]{7,40}:? (?:HEAD@|\(|[A-Za-z]+(?:\(|:))|\|(?: |--)|[├└ª]|│(?! Error: )|import ')|^\S{1,200}(?:::\S{1,200})? (?:PASSED|PASS|SKIPPED|XFAIL|ok)\b|\.{3} ok$|^(?:\.{0,2}\/)?[\w@./-]{1,200}\.\w{1,5}[:-]\d{1,6}[:-]\s.{0,300}[;{})]$|^(?:PASS|ok \d{1,5}) /;

function voiceOf(record: LogRecord, message: string, utterances: readonly Utterance[]): Voice {
  const framed = (record.trace?.frames.length ?? 0) > 0;
  if (record.level !== undefined && atLeast(record.level, 'warn')) return 'loud';
  if (framed) return 'loud';
  if (record.level !== undefined) return 'calm';
  if (record.exit) return 'loud';
  if (LISTING.test(message)) return 'silent';
  if (MARK.test(message) || utterances.some((one) => one.role === 'exception' && one.text === message)) return 'loud';
  return 'plain';
}

/** A quotation has ten characters or more, quotes and all. */
const SAID_LENGTH = 10;

/** Text in quotes is what somebody else said, unless the program names it as its error or it is a protocol's answer. */
export const withoutQuotes = remembering((text: string): string =>
  text.replace(
    /(\b(?:error|err|reason|cause|exception|failure|message|stderr)\s?[=:]\s?|[:(]\s?)?("(?:[^"\\\n]|\\.)*("|$)|“[^”]{8,}”|`[^`'\n]{8,}`)/gi,
    (match, key: string | undefined, quoted: string) => {
      if (/^"(?:HTTP\/|[A-Z]+ \S+ HTTP\/)/.test(quoted)) return quoted.startsWith('"HTTP') ? match : `${key ?? ''}""`;
      // A short word, and a quote that is none, are skipped as a whole: what stands behind them is not quoted.
      if (quoted.length < SAID_LENGTH) return match;
      // A name alone is what the program tells of, not what somebody said.
      return (key && /[=]/.test(key)) || isName(quoted) ? match : `${key ?? ''}""`;
    },
  ),
);

/** A module, a path, an address: lower case without blanks, and no error by itself. */
function isName(quoted: string): boolean {
  const name = quoted.slice(1, -1);
  return /^[\w@./:*-]+$/.test(name) && /[a-z]/.test(name) && !/error|exception/i.test(name) && !/[A-Z]{4}/.test(name);
}

// ---------------------------------------------------------------- whose words

const OWN = /^(?:selfheal|self-?heal(?:ing)?)\b/i;

function isOwn(record: LogRecord, head: Peeled, message: string): boolean {
  return (
    OWN.test(record.logger ?? '') ||
    OWN.test(head.logger ?? '') ||
    head.tags.some((tag) => OWN.test(tag)) ||
    OWN.test(message)
  );
}

const PERSON_SPEAKS =
  /\b(?:message|msg|prompt|query|question|comment|review|reply|chat|mail|tweet|post|text|input|content|payload|body|transcript|completion|user|customer|client)\b.{0,40}\b(?:from|by|said|says|asked|asks|wrote|received|sent|typed|of|was)\b|\b(?:said|asked|wrote|received|typed|replied|answered|quoted)\b.{0,40}:|\b(?:from|by) (?:user|chat|\d{4,})\b/i;
/** Characters that show a reader something else than what is there. */
const DISGUISE =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001a\u001c-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/;

function suspicionOf(framed: Framed, record: LogRecord, now: number): string | null {
  if (DISGUISE.test(record.text)) return 'the text holds invisible or reordering characters';
  if (framed.before === BEFORE_UNSEEN && record.time === undefined)
    return 'it has no prefix of its own, and whose words it follows is not known any more';
  if (framed.before !== null && record.time === undefined) {
    const before = peel(decode(framed.before), now);
    const calm = before.level === undefined || !atLeast(before.level, 'warn');
    if (calm && PERSON_SPEAKS.test(before.message))
      return 'it follows the words of a person without a prefix of its own';
  }
  if (record.level !== undefined && !atLeast(record.level, 'warn') && PERSON_SPEAKS.test(record.message))
    return 'it stands in a line that passes on the words of a person';
  return null;
}
