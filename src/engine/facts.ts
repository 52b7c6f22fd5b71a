// Facts that any record may state, whatever rule matched: status, address, place, waiting time. And the
// grammar they must pass, because a fact of a hostile text must never look like more than it is.

import { type FactName, type Facts, NUMERIC_FACTS } from '../core/facts.ts';
import { remembering } from '../core/memo.ts';
import type { ErrorType } from '../core/words.ts';
import type { Trace } from '../core/record.ts';
import { addressIn, configPlaceIn, firstOf, pathIn, portIn, sourcePlaceIn } from './places.ts';
import type { Reading, Utterance } from './reading.ts';
import type { Structured } from './structured.ts';

type Loose = Partial<Record<FactName, string | number>>;

/** The facts of a match, completed from the rest of the record and cleaned. */
export function completeFacts(type: ErrorType, matched: Loose, said: Utterance, reading: Reading): Facts {
  const facts: Loose = { ...matched };
  const put = (name: FactName, value: string | number | null | undefined): void => {
    if (facts[name] === undefined && value !== undefined && value !== null && value !== '') facts[name] = value;
  };
  const texts = [...new Set([said.text, ...reading.utterances.map((one) => one.text)])];
  const first = firstLines(reading.record.text);
  const { structured } = reading;
  put('exception', exceptionOf(reading.record.trace, texts));
  addPlace(put, facts, type, reading.record.trace, texts);
  if (CALLS.has(type)) {
    put('status', structured?.status ?? firstOf([...texts, first], statusIn));
    put('provider', providerIn([...texts, reading.record.logger ?? '']));
  }
  if (WAITS.has(type)) put('retryAfterSec', firstOf(texts, waitIn) ?? structured?.retryAfterSec);
  if (WAITS.has(type) || type === 'provider_overloaded') put('model', firstOf(texts, modelIn));
  if (NETWORK.has(type)) addAddress(facts, put, [...texts, first], structured);
  if (FILES.has(type)) put('path', structured?.path ?? overwrittenIn(reading.record.text) ?? firstOf(texts, pathIn));
  if (PROCESSES.has(type)) {
    put('pid', firstOf(texts, pidIn) ?? pidIn(first) ?? pidOfProgram(first));
    put('exitCode', firstOf(texts, exitCodeIn));
    put('signal', firstOf(texts, signalIn));
  }
  if (type === 'config_error' || type === 'auth_error') put('env', firstOf(texts, envIn));
  if (typeof facts.module === 'string') facts.module = unescaped(facts.module);
  return clean(facts);
}

/** Git names the files it would overwrite below. */
function overwrittenIn(text: string): string | null {
  return (
    /would be overwritten by \w{2,20}:\s{1,20}(?:\S{10,60} std\w{3} F )?\s*([^\s:][^\n:]{0,300})/
      .exec(text)?.[1]
      ?.trim() ?? null
  );
}

type Put = (name: FactName, value: string | number | null | undefined) => void;

/** The outermost exception of the trace, else the first one the text names. */
function exceptionOf(trace: Trace | undefined, texts: readonly string[]): string | null {
  const { type } = trace ?? {};
  if (type && type !== 'panic' && type !== 'Fatal Python error' && /^[\w.$:\\]+$/.test(type)) return type;
  return exceptionName(texts);
}

/** Where it failed: the last frame of the trace, or the place the message names. */
function addPlace(put: Put, facts: Loose, type: ErrorType, trace: Trace | undefined, texts: readonly string[]): void {
  // A parser of configuration names the file it could not read; its own frames say less.
  const named = type === 'config_error' ? firstOf(texts, configPlaceIn) : null;
  const frame = trace?.frames.at(-1);
  const framed = frame?.file && !/^(?:node:|<|internal\/|\[)/.test(frame.file) ? frame : null;
  const place = named ?? (framed ? { file: pathOfUrl(framed.file), line: framed.line } : firstOf(texts, sourcePlaceIn));
  if (!place) return;
  put('file', place.file);
  if (facts.file === place.file) put('sourceLine', place.line);
}

/** What a program logged in front of its message may name the peer. */
function firstLines(text: string): string {
  return text.slice(0, 2_000).split('\n', 2).join('\n');
}

/** PHP's logs double their backslashes. */
function unescaped(name: string): string {
  return name.replace(/\\\\/g, '\\').replace(/\\+$/, '');
}

/** Node names ES modules by URL. What is no such URL stays as it is. */
function pathOfUrl(file: string): string {
  if (!file.startsWith('file:///')) return file;
  try {
    return decodeURIComponent(file.slice('file://'.length));
  } catch {
    return file;
  }
}

const CALLS = new Set<ErrorType>([
  'rate_limit',
  'quota_exhausted',
  'provider_overloaded',
  'auth_error',
  'api_error',
  'permission_error',
  'timeout',
  'unknown',
]);
const WAITS = new Set<ErrorType>(['rate_limit', 'quota_exhausted', 'provider_overloaded']);
const NETWORK = new Set<ErrorType>([
  'api_error',
  'timeout',
  'database_error',
  'rate_limit',
  'quota_exhausted',
  'provider_overloaded',
  'auth_error',
  'port_in_use',
  'too_many_files',
  'git_error',
  'out_of_memory',
  'permission_error',
]);
const PROCESSES = new Set<ErrorType>(['service_crash', 'out_of_memory', 'port_in_use', 'timeout', 'config_error']);
const FILES = new Set<ErrorType>([
  'permission_error',
  'disk_full',
  'too_many_files',
  'database_error',
  'git_error',
  'config_error',
]);

// ---------------------------------------------------------------- single facts

const EXCEPTION_NAMES: readonly RegExp[] = [
  /\[object\] \(([\w\\]+)\(code/,
  /Uncaught (?:exception ')?([A-Z][\w\\]*)(?:'| |:)/,
  /(?:^|[\s:(>\]"'])((?:[A-Za-z_$][\w$]*(?:\.|::|\\))*[A-Z]?[\w$]*(?:Error|Exception|Errno::[A-Z]+|Interrupt|SystemExit))(?: \[\w+\])?(?::|\)$| \(|$)/,
  // `telegram.error.RetryAfter: text`: a class behind the path of its module.
  /^((?:[a-z_]\w*\.)+[A-Z]\w*): /,
  /\(([A-Z]\w*(?:::[A-Z]\w*)*)\)$/,
];

function exceptionName(texts: readonly string[]): string | null {
  return firstOf(texts, exceptionNameIn);
}

const exceptionNameIn = remembering((text: string): string | null => {
  const line = text.split('\n', 1)[0] ?? '';
  for (const pattern of EXCEPTION_NAMES) {
    const name = pattern.exec(line)?.[1];
    if (name && name.length > 4 && !/^(?:PHP|Parse|Fatal)/.test(name)) return name.replace(/\\\\/g, '\\');
  }
  return null;
});

const STATUS: readonly RegExp[] = [
  /\b(?:error code|status[_ ]?code|http status|statuscode|status|http error|response code|http response code|server responded with|answered|returned|response|http)[\s:='"(]{1,4}([1-5]\d\d)\b(?!\d|\.\d|:\d)/i,
  /"HTTP\/\d(?:\.\d)?"? ([45]\d\d)\b|HTTP\/\d(?:\.\d)? ([45]\d\d)\b|HTTP\/\d(?:\.\d)?" ([45]\d\d) /,
  /\(([45]\d\d)(?::|\)| [A-Z])/,
  /["']?(?:code|status|statusCode)["']?\s?[:=]\s?["']?([45]\d\d)\b/,
  /(?:^|[:\s([-])([45]\d\d)[ :-]{1,3}\(?(?:Too Many|Unauthorized|Forbidden|Not Found|Conflict|Bad (?:Gateway|Request)|Internal|Service|Gateway|Payment|Request|Client|Server|RESOURCE|UNAVAILABLE|INVALID|PERMISSION|UNAUTHENTICATED|You |This |Rate|Resource|No |Overloaded|\{)/,
];

/** The status named first. */
const statusIn = remembering((text: string): number | null => {
  let found: { readonly at: number; readonly value: number } | null = null;
  for (const pattern of STATUS) {
    const match = pattern.exec(text);
    const value = Number(match?.slice(1).find((group) => group !== undefined));
    if (match && value >= 400 && (found === null || match.index < found.at)) found = { at: match.index, value };
  }
  return found?.value ?? null;
});

/** A variable of the environment, where the text calls it one. */
function envIn(text: string): string | null {
  const match =
    /\b([A-Z][A-Z0-9]*_[A-Z0-9_]{1,60})['"`]? env(?:ironment)?\b|\benv(?:ironment)? var(?:iable)?s? ['"`(]?([A-Z][A-Z0-9]*_[A-Z0-9_]{1,60})\b/.exec(
      text,
    );
  return match?.[1] ?? match?.[2] ?? null;
}

/** A process the text itself names. */
const pidIn = remembering((text: string): number | null => {
  const match = /\b(?:pid|PID|process)[ =:#[(]{1,2}(\d{2,9})\b|[Kk]ill(?:ed)? process (\d{1,9})/.exec(text);
  return match ? Number(match[1] ?? match[2]) : null;
});

/** The process that wrote a syslog line. */
function pidOfProgram(line: string): number | null {
  const match = /^(?:<\d{1,3}>)?\S.{10,60}? [\w./@-]{2,60}\[(\d{1,9})\]: /.exec(line);
  return match ? Number(match[1]) : null;
}

const exitCodeIn = remembering((text: string): number | null => {
  const match =
    /\b(?:exit(?:ed)?(?: with)?(?: a)?(?: non-zero)?|return(?:ed)?|terminated with)[ _-]?(?:exit )?(?:code|status)?[ =:([]{1,3}(-?\d{1,3})\b/i.exec(
      text,
    );
  return match ? Number(match[1]) : null;
});

function signalIn(text: string): string | null {
  return /\b(SIG(?:KILL|SEGV|ABRT|TERM|INT|BUS|ILL|FPE|HUP|PIPE|QUIT|TRAP|SYS))\b/.exec(text)?.[1] ?? null;
}

/** Names and hosts of providers, most specific first. */
const PROVIDERS: readonly [string, RegExp][] = [
  ['openrouter', /\bopenrouter\b/i],
  ['azure', /\bazure[ ._-]?openai\b|openai\.azure\.com/i],
  ['bedrock', /\bbedrock(?:-runtime)?\b/i],
  ['anthropic', /\banthropic\b|\bclaude-/i],
  ['openai', /\bopenai\b|\bgpt-[345]|\bchatgpt\b/i],
  ['google', /\bgoogle(?:\.api_core|\.genai|_genai|apis\.com)|\bgenerativelanguage\b|\bgemini\b|\bai\.google\.dev\b/i],
  ['mistral', /\bmistral(?:ai)?\b/i],
  ['groq', /\bgroq\b/i],
  ['deepseek', /\bdeepseek\b/i],
  ['cohere', /\bcohere\b/i],
  ['xai', /\bapi\.x\.ai\b|\bgrok-\d/i],
  ['telegram', /\btelegram\b|\bapi\.telegram\.org\b/i],
  ['slack', /\bslack\b/i],
  ['discord', /\bdiscord\b/i],
  ['github', /\bapi\.github\.com\b|\bgithub\b(?!\.com\/)/i],
  ['huggingface', /\bhugging ?face\b|\bhf hub\b/i],
  ['docker', /\bdocker\.io\b|\bdocker\.com\b/i],
];

function providerIn(texts: readonly string[]): string | null {
  const ranks = texts.map(providerRankIn).filter((rank) => rank >= 0);
  return PROVIDERS[Math.min(...ranks)]?.[0] ?? null;
}

const providerRankIn = remembering((text: string) => PROVIDERS.findIndex(([, pattern]) => pattern.test(text)));

const UNITS: Readonly<Record<string, number>> = {
  ms: 0.001,
  s: 1,
  sec: 1,
  secs: 1,
  second: 1,
  seconds: 1,
  m: 60,
  min: 60,
  mins: 60,
  minute: 60,
  minutes: 60,
  h: 3600,
  hour: 3600,
  hours: 3600,
};

/** Seconds the other side asks us to wait. */
const waitIn = remembering((text: string): number | null => {
  const match =
    /(?:retry[ _-]?after|retry in|try again in|please wait|wait|retry_?delay|available in|reset(?:s|ting)? in)["'\s:=]{1,5}((?:\d+(?:\.\d+)?\s?(?:h|m(?:s|in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)?\s?){1,3})(?![\w-])/i.exec(
      text,
    );
  if (!match) return null;
  let seconds = 0;
  for (const part of (match[1] ?? '').matchAll(/(\d+(?:\.\d+)?)\s?([a-z]*)/gi))
    seconds += Number(part[1]) * (UNITS[(part[2] ?? '').toLowerCase()] ?? 1);
  return seconds > 0 && seconds < 40 * 86_400 ? Math.round(seconds * 1e9) / 1e9 : null;
});

const modelIn = remembering(
  (text: string): string | null =>
    /\b((?:gpt|claude|gemini|o[1345]|mistral|mixtral|llama|deepseek|qwen|command|grok)-[\w.-]{2,60})/.exec(text)?.[1] ??
    null,
);

function addAddress(facts: Loose, put: Put, texts: readonly string[], structured: Structured | null): void {
  if (facts.host === undefined && facts.port === undefined) {
    const found = firstOf(texts, addressIn);
    put('host', found?.host ?? structured?.host);
    put('port', found?.port ?? structured?.port);
  }
  if (facts.port === undefined) put('port', firstOf(texts, portIn));
}

// ---------------------------------------------------------------- grammar

const GRAMMAR: Readonly<Partial<Record<FactName, RegExp>>> = {
  module: /^(?:@[\w.~-]+\/)?[\w.~@/\\:-]{1,300}$/,
  package: /^(?:@[\w.~-]+\/)?[\w.~-]{1,200}$/,
  host: /^[\w.:-]{1,253}$/,
  env: /^[A-Za-z_][A-Za-z0-9_]{0,120}$/,
  exception: /^[\w.$:\\/-]{1,200}$/,
  attribute: /^[\w$.[\]()-]{1,200}$/,
  signal: /^[A-Z0-9]{2,12}$/,
  provider: /^[\w.-]{1,60}$/,
  model: /^[\w.:/-]{1,120}$/,
  executable: /^[^\s'"`;|&<>$]{1,300}$/,
  branch: /^[\w./@{}^~-]{1,200}$/,
};
/** Nothing that steers a terminal, hides text or starts a new line may be part of a fact. */
const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\ufffd]/u;
const NUMBERS = new Set<FactName>(NUMERIC_FACTS);

function clean(facts: Loose): Facts {
  const out: Loose = {};
  for (const [name, value] of Object.entries(facts) as [FactName, string | number][]) {
    const good = NUMBERS.has(name) ? asNumber(value) : asText(name, String(value));
    if (good !== null) out[name] = good;
  }
  return out as Facts;
}

function asNumber(value: string | number): number | null {
  const number = typeof value === 'number' ? value : Number(value);
  return Number.isFinite(number) && number >= 0 ? number : null;
}

function asText(name: FactName, value: string): string | null {
  const text = value.trim();
  if (text === '' || text.length > 500 || CONTROL.test(text)) return null;
  const grammar = GRAMMAR[name];
  return grammar && !grammar.test(text) ? null : text;
}

/** True when the facts an automatic fix would start from are of the form such things have. */
export function factsPass(matched: Loose, facts: Facts): boolean {
  for (const name of Object.keys(matched) as FactName[]) if (facts[name] === undefined) return false;
  if (facts.module !== undefined && !/^(?:@[a-z0-9][\w.-]*\/)?[A-Za-z_][\w.-]*(?:\/[\w.-]+)*$/.test(facts.module))
    return false;
  return facts.path === undefined || !/(?:^|[\\/])\.\.(?:[\\/]|$)/.test(facts.path);
}
