// What stands before the message: who carried the line (syslog, containers, pm2), then what the program
// itself puts there (time, level, logger). Cheap tests for every line, full parsing for the few that matter.

import type { Level } from '../core/record.ts';
import { levelOfLetter, levelOfPriority, levelOfWord } from './levels.ts';
import { timeAt } from './times.ts';

// ---------------------------------------------------------------- carriers

/** A line with its carrier's prefix taken off. Lines of one `lane` come from one writer. */
export interface Carried {
  readonly lane: string;
  /** Index of the first character behind the carrier's prefix. */
  readonly from: number;
  /** CRI only: the line goes on in the next one. */
  readonly partial: boolean;
}

const SYSLOG =
  /(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?:\d{4} )?([\w.:-]{1,80}) ([^\s:[\]]{1,64})(?:\[(\d{1,10})\])?\]?: ?/y;
const ISO_SYSLOG =
  /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d) ([\w.-]{1,80}) ([\w./@-]{1,64})(?:\[(\d{1,10})\])?: /y;
const RFC5424 =
  /<\d{1,3}>1 \S{1,40} (\S{1,80}) (\S{1,64}) (\S{1,64}) \S{1,64} (?:-|\[[^\]]{0,400}\]) ?(?:\xef\xbb\xbf)?/y;
const CRI = /\d{4}-\d\d-\d\dT[\d:.]{8,18}(?:Z|[+-]\d\d:\d\d) (stdout|stderr) ([FP]) /y;
const PLATFORM = /\d{4}-\d\d-\d\dT[\d:.]{8,18}(?:Z|[+-]\d\d:\d\d) ((?:app|heroku)\[[\w.-]{1,40}\]): /y;
const COMPOSE = /([A-Za-z0-9][\w.-]{0,62}) *\| ?/y;
const PM2 = /(\d{1,4}\|[\w.@-]{1,60}) *\| ?/y;
const POD = /\[(pod\/[\w./-]{1,160})\] /y;
const NOT_HOSTS = /^(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|SEVERE)$/i;

/** The carrier of a line, or null for a line that its program wrote to the file by itself. */
export function carried(line: string): Carried | null {
  const first = line.charCodeAt(0);
  if (isDigit(first)) return fromDigit(line);
  if (first === LESS || isUpper(first)) {
    const syslog = at(SYSLOG, line);
    if (syslog) return lane(SYSLOG, `${syslog[1]} ${syslog[2]} ${syslog[3] ?? ''}`);
    const modern = first === LESS ? at(RFC5424, line) : null;
    if (modern) return lane(RFC5424, `${modern[1]} ${modern[2]} ${modern[3]}`);
  }
  if (first === BRACKET) {
    const pod = line.charCodeAt(1) === 0x70 ? at(POD, line) : null;
    return pod ? lane(POD, pod[1] ?? '') : null;
  }
  if (!isUpper(first) && !isLower(first)) return null;
  if (line.lastIndexOf('|', 66) < 1) return null;
  const compose = at(COMPOSE, line);
  return compose ? lane(COMPOSE, `${compose[1]}|`) : null;
}

function fromDigit(line: string): Carried | null {
  if (line.charCodeAt(4) === DASH && line.charCodeAt(7) === DASH) {
    const cri = at(CRI, line);
    if (cri) return { lane: cri[1] ?? '', from: CRI.lastIndex, partial: cri[2] === 'P' };
    const platform = at(PLATFORM, line);
    if (platform) return lane(PLATFORM, platform[1] ?? '');
    const syslog = at(ISO_SYSLOG, line);
    if (syslog && !NOT_HOSTS.test(syslog[1] ?? ''))
      return lane(ISO_SYSLOG, `${syslog[1]} ${syslog[2]} ${syslog[3] ?? ''}`);
    return null;
  }
  const pm2 = line.lastIndexOf('|', 6) > 0 ? at(PM2, line) : null;
  return pm2 ? lane(PM2, pm2[1] ?? '') : null;
}

function lane(pattern: RegExp, name: string): Carried {
  return { lane: name, from: pattern.lastIndex, partial: false };
}

// ---------------------------------------------------------------- heads

const HEAD_TIME =
  /[ \t]{0,8}[[(<"]?(?:\d{4}[-/.]\d\d[-/.]\d\d(?:[T_ -]|, ) ?\d\d[:.]\d\d|\d{1,2}[-/. ](?:\d{1,2}|[A-Z][a-z]{2})[-/. ]\d{2,4}(?:[ :T]|, )\d\d:\d\d|\d\d[-.]\d\d \d\d:\d\d:\d\d|\d\d:\d\d:\d\d[.,\]| ]|\d{8}-\d\d:\d\d|\d{6} +\d{1,2}:?\d\d:?\d\d |- \d{10} |\d{10}(?:[.,]\d{1,6})? |(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec),? [A-Z\d ]|[ \d]{1,6}\d\.\d{6}\])/y;
const HEAD_WORD =
  /[[(<|]?(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|CRITICAL|CRIT|FATAL|ALERT|EMERG|PANIC|VERBOSE|LOG|[IWEF]\d{4} \d\d:\d\d|[DIWEF], \[|[VDIWEF]\/[\w.]{1,40}[(:])(?:[\]:|> \t)]|\d)/y;
const HEAD_LOWER =
  /(?:error|warning|warn|info|debug|fatal|critical|crit|notice|trace|fail|err|emerg|alert)(?:\[[\w-]{1,40}\])?: ?|(?:time|ts|timestamp|t|level|lvl|severity|msg)=|\[(?:error|warn|warning|info|debug|fatal|critical|crit|emerg|alert|notice|trace)\]/y;
const HEAD_TAG = /\[[A-Za-z][\w .:/@-]{0,48}\][ :]/y;
const NO_TAG = /\[(?:stacktrace|previous exception|signal|cause|errors|internal function|source|circular)\b/iy;
const HEAD_JSON = /\{ ?"/y;

/** True when a line begins a record of its own: it carries a time, a level, a tag, or is a JSON object. */
export function isHead(text: string, from: number): boolean {
  const first = text.charCodeAt(from);
  if (isDigit(first)) return stands(HEAD_TIME, text, from);
  if (isLower(first)) return stands(HEAD_LOWER, text, from);
  if (isUpper(first)) return stands(HEAD_WORD, text, from) || stands(HEAD_TIME, text, from);
  if (first === BRACE) return stands(HEAD_JSON, text, from);
  if (first === BRACKET)
    return (
      stands(HEAD_TIME, text, from) ||
      stands(HEAD_WORD, text, from) ||
      stands(HEAD_LOWER, text, from) ||
      (stands(HEAD_TAG, text, from) && !stands(NO_TAG, text, from))
    );
  if (first === LESS || first === PAREN || first === DASH || first === QUOTE) return stands(HEAD_TIME, text, from);
  if (first === SPACE || first === TAB) return stands(HEAD_TIME, text, from);
  return false;
}

/** Behind a carrier that stamps each line, `agent.core: text` begins a record too. */
const HEAD_LOGGER = /(?:([a-z][\w-]{0,40}(?:\.[A-Za-z_][\w-]{0,40}){1,8}): |[a-z][a-z0-9_-]{1,24}: (?=[A-Z"[\d]))/y;

export function isCarriedHead(text: string, from: number): boolean {
  if (isHead(text, from)) return true;
  HEAD_LOGGER.lastIndex = from;
  const match = HEAD_LOGGER.exec(text);
  // `anthropic.RateLimitError: …` is the last line of a traceback.
  return match !== null && !NOT_LOGGER.test(match[1] ?? '');
}

// ---------------------------------------------------------------- peeling

/** What a line's prefix says, and the message behind it. */
export interface Peeled {
  readonly message: string;
  readonly time?: number;
  readonly level?: Level;
  readonly logger?: string;
  readonly pid?: number;
  /** Bracketed words that are none of the above, in order. */
  readonly tags: readonly string[];
}

interface Cursor {
  readonly text: string;
  readonly now: number;
  pos: number;
  time?: number;
  level?: Level;
  logger?: string;
  pid?: number;
  tags: string[];
}

const MOST_TOKENS = 14;

/** Takes the prefix off a record's first line. Decoded text in, `now` for times without a year. */
export function peel(text: string, now: number): Peeled {
  const carrier = carried(text);
  const cursor: Cursor = { text, now, pos: 0, tags: [] };
  if (carrier) readCarrier(cursor, carrier);
  for (let i = 0; i < MOST_TOKENS && token(cursor); i++);
  if (cursor.level === undefined) {
    if (cursor.time !== undefined) findLevel(cursor);
    else findLevelAmongCodes(cursor);
  }
  return finish(cursor);
}

function finish(c: Cursor): Peeled {
  return {
    message: c.text.slice(c.pos).trimEnd(),
    tags: c.tags,
    ...(c.time === undefined ? {} : { time: c.time }),
    ...(c.level === undefined ? {} : { level: c.level }),
    ...(c.logger === undefined ? {} : { logger: c.logger }),
    ...(c.pid === undefined ? {} : { pid: c.pid }),
  };
}

/** Time, priority, program and pid of the carrier, before what the program itself says. */
function readCarrier(c: Cursor, carrier: Carried): void {
  const head = c.text.slice(0, carrier.from);
  const priority = /^<(\d{1,3})>/.exec(head);
  if (priority) {
    const level = levelOfPriority(Number(priority[1]) % 8);
    if (level !== undefined) c.level = level;
  }
  const start = priority ? priority[0].length + (head.startsWith('1 ', priority[0].length) ? 2 : 0) : 0;
  const time = timeAt(c.text, start, c.now);
  if (time) c.time = time.at;
  const program = /([^\s[\]|]+?)(?:\[(\d+)\])?\]?: ?$/.exec(head);
  if (program?.[1]) c.logger = program[1];
  if (program?.[2]) c.pid = Number(program[2]);
  const service = /^([\w.@-]+|\d+\|[\w.@-]+) *\| ?$/.exec(head);
  if (service?.[1]) c.logger = service[1];
  c.pos = carrier.from;
}

const GAP = /[ \t\xa0]*/y;
const DASHES = /(?:[-–—|:>»•]{1,4}|-->)(?=\s|$)/y;
const WORD_LEVEL = /[<[(|]?\s{0,4}([A-Za-z]{2,13}\d?)\s{0,8}(?:[\]>)|:,]|(?=\s)|$)/y;
const LETTER_LEVEL =
  /([VDIWEFC])(?=\d{4} \d\d:|, \[| [A-Z]{2,12} {1,6}| [\w.$-]{1,60}: | [\w.$-]{1,60} *: |\/[\w.]{1,40}[(:])/y;
const BRACKETED = /\[([^[\]]{0,120})\]:?|\(([^()]{1,60})\)(?= |:)|<([\d.]{3,24})>/y;
const PID_AND_THREAD =
  /(?:\d+#\d+:|\*\d+(?= )|\d{1,7}(?=[ \t]+[\w.-]{1,60}:\d{1,6}\])|#\d+(?= )|\d{1,7}(?=(?:[ \t]+\d{1,7})?[ \t]+(?:---|[A-Z[]|[VDIWEF] |<)))/y;
/** `404 Not Found` is what a server answered, and no pid. */
const STATUS = /^[1-5]\d\d +[A-Z][a-z]/;
const LOGGER =
  /([A-Za-z_$][\w.$/@-]{0,100}?)(?:\.go:\d+\]|(?:\.\w{1,5})?:\d+\]?:? ?(?=-|:|\]| )|\s{0,40}:(?=\s|$)|(?=\s+(?:[-|—–]|>>)\s)|(?<=\b[a-z_]\w{0,30}(?:\.[a-z_]\w{0,30}){1,6})(?<!\.(?:com|org|net|io|dev|ai|app|co|py|js|ts|json|yaml|yml|log|conf|txt|md|example|local|service))(?= [A-Za-z])|(?=\s+\[[\w.= ,:-]*\]))/y;
const NOT_LOGGER =
  /(?:Error|Exception|Warning|Failure|(?<!de)Fault|Interrupt|Exit|Timeout)$|^(?:error|fatal|failed|failure|warning|hint|note|caused|cause|panic|exception|unable|cannot|could|fail|remote|npm|pip|git|connect|request|detail|context|statement|post|get|put|delete|patch|head|http|https|usage|traceback|abort|aborted)$/i;
/** What a unit of systemd is called names who broke, not who says it. */
const UNIT = /\.(?:service|timer|socket|mount|slice|scope|target|path)$/;
/** `ENOENT: no such file` names an errno, `ORA-00942: …` a code, and neither a logger. */
const ERRNO = /^E[A-Z0-9]{3,}$|^[A-Z]{2,12}-?\d{3,9}$/;

/** Takes one token at the cursor; false when the message begins here. */
function token(c: Cursor): boolean {
  c.pos = skip(GAP, c.text, c.pos);
  if (c.pos >= c.text.length) return false;
  return takeTime(c) || takeLevel(c) || takeBracket(c) || takeNumber(c) || takeLogger(c) || takeDashes(c);
}

function takeTime(c: Cursor): boolean {
  const open = '[(<'.includes(c.text[c.pos] ?? ' ') ? 1 : 0;
  const time = timeAt(c.text, c.pos + open, c.now) ?? clockAt(c, open);
  if (!time) return false;
  if (c.time === undefined && !Number.isNaN(time.at)) c.time = time.at;
  c.pos = time.end;
  const rest = /(?: #\d{1,8}|[^\][ ]{0,12})[\])>]/y;
  rest.lastIndex = c.pos;
  if (open && rest.test(c.text)) c.pos = rest.lastIndex;
  return true;
}

/** A bare clock or an uptime: consumed, though it says no date. */
function clockAt(c: Cursor, open: number): { at: number; end: number } | null {
  const clock = open
    ? /\s{0,8}\d{1,2}:\d\d:\d\d(?:[.,]\d{1,6})?|\s{0,8}\d{1,7}\.\d{6}/y
    : /\d{1,2}:\d\d:\d\d(?:[.,]\d{1,6})?(?=[\s|\]])/y;
  clock.lastIndex = c.pos + open;
  return clock.test(c.text) ? { at: Number.NaN, end: clock.lastIndex } : null;
}

function takeLevel(c: Cursor): boolean {
  WORD_LEVEL.lastIndex = c.pos;
  const word = WORD_LEVEL.exec(c.text);
  const level = word ? levelOfWord(word[1] ?? '') : undefined;
  if (word && level !== undefined && readsAsLevel(c, word[0], word[1] ?? '')) {
    if (c.level === undefined) c.level = level;
    c.pos = WORD_LEVEL.lastIndex;
    return true;
  }
  if (c.level !== undefined) return false;
  LETTER_LEVEL.lastIndex = c.pos;
  const letter = c.time !== undefined || c.pos === 0 ? LETTER_LEVEL.exec(c.text) : null;
  const coded = letter ? levelOfLetter(letter[1] ?? '') : undefined;
  if (coded === undefined) return false;
  c.level = coded;
  c.pos = LETTER_LEVEL.lastIndex;
  skipComponent(c);
  return true;
}

/** klog glues its date to the letter; logcat a slash; MongoDB and Ruby a component. */
function skipComponent(c: Cursor): void {
  if (c.text[c.pos] === '/' || c.text[c.pos] === ',') c.pos++;
  const component = /\s[A-Z]{2,12}\s{1,6}(?=\[)/y;
  component.lastIndex = c.pos;
  if (component.test(c.text)) c.pos = component.lastIndex;
}

/** Levels of some loggers that are ordinary words elsewhere: `HTTP 429 from …`. */
const AMBIGUOUS = /^(?:http|config|note|success|fine|finer|silly|fail|failure|log)$/i;

/** `ERROR failed` is a level, `error in line 3` a sentence, `info` before a colon a level again. */
function readsAsLevel(c: Cursor, whole: string, word: string): boolean {
  // At the very beginning it is the class that JavaScript throws.
  if (c.pos === 0 && whole === 'Error:') return false;
  // Go's servers begin so.
  if (/^http$/i.test(word) && whole.endsWith(':')) return false;
  if (AMBIGUOUS.test(word) && !/^\[.*\]$/.test(whole)) return word !== word.toUpperCase() && whole.endsWith(':');
  if (/[\]>)|:]$/.test(whole) || /^[<[(|]/.test(whole))
    return !(c.level !== undefined && word === word.toLowerCase() && whole.endsWith(':'));
  // Behind level and logger the sentence has begun: `ERROR IN CONTACT WITH …`.
  if (word === word.toUpperCase()) return c.level === undefined || c.logger === undefined;
  return (
    c.time !== undefined &&
    c.level === undefined &&
    /^[A-Z]?[a-z]+$/.test(word) &&
    /\s{2,}|\t/.test(`${c.text.slice(c.pos, c.pos + whole.length + 2)}`.slice(word.length))
  );
}

function takeBracket(c: Cursor): boolean {
  BRACKETED.lastIndex = c.pos;
  const match = BRACKETED.exec(c.text);
  if (!match) return false;
  const inside = (match[1] ?? match[2] ?? match[3] ?? '').trim();
  if (match[2] !== undefined && c.time === undefined && c.level === undefined) return false;
  if (/^(?:stacktrace|previous exception|object)/.test(inside)) return false;
  c.pos = BRACKETED.lastIndex;
  const pid = /^(?:pid[ =:])?(\d{1,10})(?:[:\s].*)?$/.exec(inside);
  const words = inside.split(/[\s:|]+/);
  const level = words.length <= 2 ? levelOfWord(words.at(-1) ?? '') : undefined;
  if (pid) c.pid ??= Number(pid[1]);
  else if (level !== undefined && c.level === undefined) c.level = level;
  else if (inside) c.tags.push(inside);
  return true;
}

function takeNumber(c: Cursor): boolean {
  if (c.time === undefined && c.tags.length === 0) return false;
  PID_AND_THREAD.lastIndex = c.pos;
  const match = PID_AND_THREAD.exec(c.text);
  if (!match || STATUS.test(c.text.slice(c.pos, c.pos + 12))) return false;
  const pid = Number.parseInt(match[0], 10);
  if (Number.isInteger(pid)) c.pid ??= pid;
  c.pos = PID_AND_THREAD.lastIndex;
  return true;
}

function takeLogger(c: Cursor): boolean {
  if (c.time === undefined && c.level === undefined && c.logger === undefined) return false;
  if (takeMonolog(c)) return true;
  LOGGER.lastIndex = c.pos;
  const match = LOGGER.exec(c.text);
  const name = match?.[1] ?? '';
  if (!match || NOT_LOGGER.test(name) || UNIT.test(name) || ERRNO.test(name) || !namesLogger(c, name)) return false;
  // A frame of Ruby names a file and a line as well.
  if (c.text.startsWith(':in ', LOGGER.lastIndex)) return false;
  c.logger = name;
  c.pos = LOGGER.lastIndex;
  return true;
}

/** A word with a capital before a colon is part of the message; a second logger has dots, or begins a sentence. */
function namesLogger(c: Cursor, name: string): boolean {
  if (name.includes('.') || name.includes('/')) return true;
  if (/^[A-Z][a-z]+$/.test(name)) return false;
  return c.logger === undefined || /^[a-z][a-z0-9_-]{1,24}: [A-Z"[\d]/.test(c.text.slice(c.pos, c.pos + 40));
}

/** `local.ERROR: text`, as Monolog writes it. */
function takeMonolog(c: Cursor): boolean {
  const monolog = /([a-z][\w-]{0,30})\.([A-Z]{4,9}): /y;
  monolog.lastIndex = c.pos;
  const match = monolog.exec(c.text);
  const level = match ? levelOfWord(match[2] ?? '') : undefined;
  if (!match || level === undefined) return false;
  c.logger = match[1] ?? '';
  c.level = level;
  c.pos = monolog.lastIndex;
  return true;
}

function takeDashes(c: Cursor): boolean {
  if (c.time === undefined && c.level === undefined && c.logger === undefined && c.tags.length === 0) return false;
  const end = skip(DASHES, c.text, c.pos);
  if (end === c.pos) return false;
  c.pos = end;
  return true;
}

/** A stamped line may carry its level behind words we do not know: an upper-case one near the start counts. */
function findLevel(c: Cursor): void {
  const match =
    /(?:^|[\s[|(])(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL|PANIC|FAILURE)(?=[\s\]|):])/.exec(
      c.text.slice(c.pos, c.pos + 100),
    );
  if (!match || /["'`=]/.test(c.text.slice(c.pos, c.pos + match.index))) return;
  const level = levelOfWord(match[1] ?? '');
  if (level === undefined) return;
  c.level = level;
  const rest = c.text.slice(c.pos + match.index + match[0].length);
  const cut = /^[\s\]|):-]+/.exec(rest);
  c.pos += match.index + match[0].length + (cut ? cut[0].length : 0);
  token(c);
}

/** Machines put columns of codes and numbers before the level: `R63-M1 2005.10.28 RAS KERNEL FATAL text`. */
const CODES = /^(?:[^\sa-z"'][^\s"']{0,60}\s+){2,12}?(FATAL|ERROR|SEVERE|CRITICAL|FAILURE|WARNING|INFO)\s+(?=\S)/;

function findLevelAmongCodes(c: Cursor): void {
  const match = CODES.exec(c.text.slice(c.pos, c.pos + 300));
  const level = match && /\d/.test(match[0]) ? levelOfWord(match[1] ?? '') : undefined;
  if (!match || level === undefined) return;
  c.level = level;
  c.pos += match[0].length;
}

// ---------------------------------------------------------------- small things

const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;
const PAREN = 0x28;
const DASH = 0x2d;
const LESS = 0x3c;
const BRACKET = 0x5b;
const BRACE = 0x7b;

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
function isUpper(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
}
function isLower(code: number): boolean {
  return code >= 0x61 && code <= 0x7a;
}
function at(pattern: RegExp, text: string): RegExpExecArray | null {
  pattern.lastIndex = 0;
  return pattern.exec(text);
}
function stands(pattern: RegExp, text: string, from: number): boolean {
  pattern.lastIndex = from;
  return pattern.test(text);
}
function skip(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex : from;
}
