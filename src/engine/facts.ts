// Facts that any record may state, whatever rule matched: status, address, place, waiting time. And the
// grammar they must pass, because a fact of a hostile text must never look like more than it is.

import { type FactName, type Facts, NUMERIC_FACTS } from '../core/facts.ts';
import type { ErrorType } from '../core/words.ts';
import type { Reading, Utterance } from './reading.ts';

type Loose = Partial<Record<FactName, string | number>>;

/** The facts of a match, completed from the rest of the record and cleaned. */
export function completeFacts(type: ErrorType, matched: Loose, said: Utterance, reading: Reading): Facts {
  const facts: Loose = { ...matched };
  const put = (name: FactName, value: string | number | null | undefined): void => {
    if (facts[name] === undefined && value !== undefined && value !== null && value !== '') facts[name] = value;
  };
  const texts = [said.text, ...reading.utterances.map((one) => one.text)];
  const { trace } = reading.record;
  put(
    'exception',
    trace?.type && /^[\w.$:\\]+$/.test(trace.type) && trace.type !== 'panic' ? trace.type : exceptionName(texts),
  );
  const frame = trace?.frames.at(-1);
  if (frame?.file && !/^(?:node:|<|internal\/|\[)/.test(frame.file)) {
    const file = pathOfUrl(frame.file);
    put('file', file);
    if (facts.file === file) put('sourceLine', frame.line);
  }
  if (CALLS.has(type)) {
    put('status', reading.structured?.status ?? firstOf(texts, statusIn));
    put('provider', providerIn([...texts, reading.record.logger ?? '']));
  }
  if (WAITS.has(type)) put('retryAfterSec', firstOf(texts, waitIn) ?? reading.structured?.retryAfterSec);
  if (WAITS.has(type) || type === 'provider_overloaded') put('model', firstOf(texts, modelIn));
  if (NETWORK.has(type)) addAddress(facts, put, texts, reading);
  if (FILES.has(type)) put('path', reading.structured?.path ?? firstOf(texts, pathIn));
  return clean(facts);
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
const FILES = new Set<ErrorType>([
  'permission_error',
  'disk_full',
  'too_many_files',
  'database_error',
  'git_error',
  'config_error',
]);

function firstOf<T>(texts: readonly string[], find: (text: string) => T | null): T | null {
  for (const text of texts) {
    const value = find(text);
    if (value !== null) return value;
  }
  return null;
}

// ---------------------------------------------------------------- single facts

function exceptionName(texts: readonly string[]): string | null {
  const laravel = firstOf(texts, (text) => /\[object\] \(([\w\\]+)\(code/.exec(text)?.[1] ?? null);
  return laravel ? laravel.replace(/\\\\/g, '\\') : null;
}

const STATUS: readonly RegExp[] = [
  /\b(?:error code|status[_ ]?code|http status|statuscode|status|http error|response code|http response code|server responded with|answered|http)[\s:='"(]{1,4}([1-5]\d\d)\b(?!\d|\.\d|:\d)/i,
  /"HTTP\/\d(?:\.\d)?"? ([45]\d\d)\b|HTTP\/\d(?:\.\d)? ([45]\d\d)\b|HTTP\/\d(?:\.\d)?" ([45]\d\d) /,
  /\(([45]\d\d)(?::|\)| [A-Z])/,
  /["']?(?:code|status|statusCode)["']?\s?[:=]\s?["']?([45]\d\d)\b/,
  /(?:^|[:\s([-])([45]\d\d)[ :-]{1,3}(?:Too Many|Unauthorized|Forbidden|Not Found|Conflict|Bad (?:Gateway|Request)|Internal|Service|Gateway|Payment|Request|Client|Server|RESOURCE|UNAVAILABLE|INVALID|PERMISSION|UNAUTHENTICATED|You |This |Rate|Resource|No |Overloaded|\{)/,
];

function statusIn(text: string): number | null {
  for (const pattern of STATUS) {
    const match = pattern.exec(text);
    const value = match?.slice(1).find((group) => group !== undefined);
    if (value && Number(value) >= 400) return Number(value);
  }
  return null;
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
  const said = texts.join('\n');
  for (const [name, pattern] of PROVIDERS) if (pattern.test(said)) return name;
  return null;
}

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
function waitIn(text: string): number | null {
  const match =
    /(?:retry[ _-]?after|retry in|try again in|please wait|wait|retry_?delay|available in|reset(?:s|ting)? in)["'\s:=]{1,5}((?:\d+(?:\.\d+)?\s?(?:h|m(?:s|in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)?\s?){1,3})(?![\w-])/i.exec(
      text,
    );
  if (!match) return null;
  let seconds = 0;
  for (const part of (match[1] ?? '').matchAll(/(\d+(?:\.\d+)?)\s?([a-z]*)/gi))
    seconds += Number(part[1]) * (UNITS[(part[2] ?? '').toLowerCase()] ?? 1);
  return seconds > 0 && seconds < 40 * 86_400 ? Math.round(seconds * 1e9) / 1e9 : null;
}

function modelIn(text: string): string | null {
  return (
    /\b((?:gpt|claude|gemini|o[1345]|mistral|mixtral|llama|deepseek|qwen|command|grok)-[\w.-]{2,60})/.exec(text)?.[1] ??
    null
  );
}

// ---------------------------------------------------------------- addresses

const HOST = '(?:\\d{1,3}(?:\\.\\d{1,3}){3}|localhost|(?:[a-z0-9_-]{1,63}\\.){1,6}[a-z]{2,24})';
const ADDRESS: readonly RegExp[] = [
  /\bhost='(?<host>[\w.-]{1,120})', port=(?<port>\d{1,5})/,
  new RegExp(`\\(['"](?<host>${HOST})['"], (?<port>\\d{1,5})\\)`, 'i'),
  /\bhost(?:name)?[:=]? ?["'](?<host>[\w.-]{1,120})["'](?: \([\d.:a-f]+\))?,? (?:and accepting[^?]{0,60}on )?port (?<port>\d{1,5})/i,
  new RegExp(`\\bhost(?:name)?[:=, ]{1,3}port: (?<host>${HOST}), (?<port>\\d{1,5})`, 'i'),
  new RegExp(
    `\\b[a-z][a-z0-9+]{1,12}://(?:[^\\s/@:]{0,60}(?::[^\\s/@]{0,60})?@)?(?<host>${HOST})(?::(?<port>\\d{1,5}))?`,
    'i',
  ),
  /(?:\[::\]|\[::1\]|\*|:::|0\.0\.0\.0):(?<port>\d{2,5})\b/,
  new RegExp(`(?:^|[\\s("'[<@=/-])(?<host>${HOST}):(?<port>\\d{2,5})(?![\\d.:])`, 'i'),
  new RegExp(
    `\\b(?:ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ECONNREFUSED|ETIMEDOUT|UnknownHostException:|resolve host:?|lookup|to host|connecting to|rhost=|from) (?<host>${HOST})(?: port (?<port>\\d{1,5}))?`,
    'i',
  ),
  new RegExp(`\\b(?:rhost=|client |address: ')(?<host>${HOST})`, 'i'),
  new RegExp(`\\b(?:Upstream|host|server|user \\w+|from) (?<host>${HOST})(?: port (?<port>\\d{1,5}))?`, 'i'),
];

function addAddress(
  facts: Loose,
  put: (name: FactName, value: string | number | undefined) => void,
  texts: readonly string[],
  reading: Reading,
): void {
  const { structured } = reading;
  if (facts.host === undefined && facts.port === undefined) {
    const found = firstOf(texts, addressIn);
    put('host', found?.host ?? structured?.host);
    put('port', found?.port ?? structured?.port);
  }
  if (facts.port === undefined) put('port', firstOf(texts, portIn) ?? undefined);
}

function addressIn(text: string): { host?: string; port?: number } | null {
  for (const pattern of ADDRESS) {
    const groups = pattern.exec(text)?.groups;
    if (!groups) continue;
    const port = Number(groups['port']);
    const host = groups['host'];
    if (host && /\.(?:py|js|ts|go|java|rb|php|log|json|ya?ml|so|c|conf|service|sock|rs|dat)$/i.test(host)) continue;
    return { ...(host ? { host } : {}), ...(port > 0 && port < 65_536 ? { port } : {}) };
  }
  return null;
}

function portIn(text: string): number | null {
  const match = /\bport[:= ]{1,2}(\d{2,5})\b/i.exec(text);
  const port = Number(match?.[1]);
  return port > 0 && port < 65_536 ? port : null;
}

// ---------------------------------------------------------------- paths

const PATHS: readonly RegExp[] = [
  /(?:denied|permitted|directory|device|file-system|files|exists|space left on device|system)\b[^'"‘’`]{0,40}['"‘`](?<path>[^'"‘’`\n]{1,400})['"’`]/i,
  /['"‘`](?<path>(?:[A-Za-z]:)?[~.]{0,2}[\\/][^'"‘’`\n]{1,400})['"’`]/,
  /(?:open|stat|access|mkdir|unlink|rename|scandir|write|copyfile|rmdir|chmod|lstat|cp|mv) ['"]?(?<path>(?:[A-Za-z]:)?[~.]{0,2}\/[^\s'",;)]{1,400})/,
  /@ [\w]+ - (?<path>\/\S{1,400})/,
  /(?:^|[\s("'<=:,])(?<path>(?:[A-Za-z]:[\\/]|~?\/|\.{1,2}\/)[\w.@+~/\\ -]{0,300}?[\w@~-]+(?:\.\w{1,8})?)(?=['"\s):;,>]|$)/,
];

function pathIn(text: string): string | null {
  for (const pattern of PATHS) {
    const path = pattern.exec(text)?.groups?.['path'];
    if (path && !path.startsWith('//')) return path;
  }
  return null;
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
