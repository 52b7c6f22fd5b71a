// Secrets are masked before any text is stored or shown. Known formats, known values in the usual
// encodings, and whatever stands behind a word like "password"; ordinary ids and hashes stay readable.

import { Memo } from './memo.ts';

/** What a secret is replaced by. */
export const MASK = '[secret]';

/** Shorter values are not looked for: masking every `on` or `8080` would hide more than it protects. */
const SHORTEST_KNOWN = 6;

/**
 * The text with its secrets replaced by `[secret]`. Pure and idempotent.
 *
 * @param known exact values that must never appear (tokens, the values of `.env`); values under six
 *   characters are ignored. Each is also found percent-encoded, JSON- or HTML-escaped, in hex and in base64,
 *   alone or inside a longer encoded text.
 * @example redact('GET https://bob:hunter22@db/x') // 'GET https://bob:[secret]@db/x'
 */
export function redact(text: string, known: readonly string[] = []): string {
  const forms = formsOf(known);
  if (forms !== memo.forms) memo = { forms, texts: new Memo() };
  return memo.texts.of(text, (one) => redactAnew(one, forms));
}

/** What was masked lately with the values that were asked for last. */
let memo: { readonly forms: readonly string[]; readonly texts: Memo<string> } = { forms: [], texts: new Memo() };

function redactAnew(text: string, forms: readonly string[]): string {
  let out = text;
  for (const form of forms) if (out.includes(form)) out = out.split(form).join(MASK);
  if (!SMELLS.test(out)) return out;
  // A mask can uncover what stood too close before it to be seen: until nothing changes, which makes it idempotent.
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const before = out;
    for (const { find, put } of RULES) out = out.replace(find, put as string);
    if (out === before) break;
  }
  return out;
}

const MOST_ROUNDS = 8;

/**
 * One cheap look that most lines do not pass: something every rule below needs. Words with the same first letter
 * stand together, and none begins with a long run: tried from every place of a line, that costs more than all the words.
 */
const SMELLS =
  /p(?:ass|wd|ypi-|plx-|rivate key)|s(?:ecret|ess|ig|k[-_]|g\.|hpat_)|t(?:oken|vly)|key|a(?:uth|kia|sia|roa|ida|iza|ge-)|c(?:red|ookie|srf)|b(?:earer|asic)|:\/\/|eyj|g(?:h[oprsu]_|ithub_pat|sk_|lpat|ocspx)|x(?:ox|app|ai-)|hf_|n(?:pm_|vapi)|ya29|r8_|rk_|w(?:ebhook|hsec)|d(?:ckr_pat|op_v1)|lin_api|hooks|\/bot\d|\d:[\w-]{30}|\.[\w-]{6}\.[\w-]{20}/i;

interface Rule {
  readonly find: RegExp;
  readonly put: string | ((match: string, ...groups: string[]) => string);
}

/** Formats that name their maker. Public lists: the providers' own documentation and secret-scanning pages. */
const FORMATS: readonly string[] = [
  'sk-ant-[\\w-]{16,200}', // Anthropic
  'sk-(?:proj|svcacct|admin|or-v1|lf)-[\\w-]{16,250}', // OpenAI, OpenRouter, Langfuse
  'sk-[A-Za-z0-9]{20,100}',
  '(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,120}', // Stripe
  'whsec_[A-Za-z0-9+/=]{20,80}',
  'AIza[\\w-]{30,60}', // Google
  'ya29\\.[\\w-]{20,300}',
  'GOCSPX-[\\w-]{20,60}',
  'gh[oprsu]_[A-Za-z0-9]{20,260}', // GitHub
  'github_pat_[A-Za-z0-9_]{20,260}',
  'glpat-[\\w-]{16,60}', // GitLab
  'xox[abeoprs]-[\\w-]{10,260}', // Slack
  'xapp-[\\w-]{10,260}',
  '(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}', // AWS
  'hf_[A-Za-z0-9]{24,80}', // Hugging Face
  'npm_[A-Za-z0-9]{30,60}',
  'pypi-[\\w-]{40,260}',
  'gsk_[A-Za-z0-9]{20,100}', // Groq
  'xai-[A-Za-z0-9]{20,120}',
  'nvapi-[\\w-]{20,120}',
  'pplx-[A-Za-z0-9]{20,100}',
  'tvly-[\\w-]{16,80}',
  'r8_[A-Za-z0-9]{30,60}',
  'SG\\.[\\w-]{16,40}\\.[\\w-]{16,80}', // SendGrid
  'dckr_pat_[\\w-]{20,60}',
  'dop_v1_[a-f0-9]{40,80}',
  'shpat_[a-fA-F0-9]{30,40}',
  'lin_api_[A-Za-z0-9]{30,60}',
  'AGE-SECRET-KEY-1[A-Z0-9]{50,70}',
  '[0-9]{6,12}:[A-Za-z0-9_-]{32,45}', // Telegram bot
  '[MNO][\\w-]{22,28}\\.[\\w-]{6}\\.[\\w-]{25,45}', // Discord bot
  'eyJ[\\w-]{8,4000}\\.[\\w-]{8,8000}(?:\\.[\\w-]{0,2000})?', // JWT
];

/** A name that says its value is secret; `tokens`, `keys` and `token_count` are counts and lists, not secrets. */
const NAME =
  '(?:[A-Za-z0-9]{1,30}[_.-]){0,6}(?:pass(?:word|wd|phrase|wort)?|pwd|secret|secret[_-]?(?:access[_-]?)?key|token|api[_-]?(?:key|token|secret)|apikey|access[_-]?(?:key|token)|auth[_-]?(?:key|token)|refresh[_-]?token|id[_-]?token|bot[_-]?token|session[_-]?(?:id|token|key)|private[_-]?key|encryption[_-]?key|signing[_-]?key|master[_-]?key|client[_-]?secret|credentials?|csrf[_-]?token|connection[_-]?string|x-api-key|x-amz-(?:signature|credential|security-token)|signature|sig)';

/** Values that are no secret: placeholders, switches, words about a password. */
const HARMLESS =
  /^(?:\[secret.*|\[?redacted\]?|\*+|x{3,}|\.{3,}|<[^>]*>|\$\{[^}]*\}?|\$[A-Z_]+|%[sdrv]|\{\w*\}?|true|false|yes|no|null|none|nil|undefined|empty|missing|invalid|expired|required|optional|not|is|was|has|must|should|cannot|unset|set|ok|string|str|bool|int|\d{1,5}|n\/a|-+)$/i;

const RULES: readonly Rule[] = [
  {
    find: /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\s\S]{0,20000}?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g,
    put: MASK,
  },
  // A bot token inside the path of the chat API's own address, whatever its length.
  { find: /(\/bot)[0-9]{5,14}(?::|%3A)[\w-]{10,60}/gi, put: `$1${MASK}` },
  { find: /(hooks\.slack\.com\/(?:services|workflows|triggers)\/)[\w/-]{10,120}/g, put: `$1${MASK}` },
  { find: /(discord(?:app)?\.com\/api\/webhooks\/\d{5,25}\/)[\w-]{10,120}/g, put: `$1${MASK}` },
  // The format must stand alone: a longer word that merely contains it is somebody's identifier.
  { find: new RegExp(`(^|[^A-Za-z0-9_-])(?:${FORMATS.join('|')})(?![A-Za-z0-9])`, 'g'), put: `$1${MASK}` },
  // user:password@host keeps the user; a lone token before the @ goes too.
  { find: /\b([a-z][a-z0-9+.-]{1,20}:\/\/)([^\s/?#@:'"<>]{0,100}):([^\s/?#@'"<>]{1,200})@/gi, put: `$1$2:${MASK}@` },
  { find: /\b(https?:\/\/|git\+https:\/\/)([^\s/?#@:'"<>]{16,200})@/gi, put: `$1${MASK}@` },
  {
    find: /\b((?:proxy-)?authorization\\?['"]?\s{0,4}[:=]\s{0,4}\\?['"]?(?:(?:bearer|basic|token|digest|apikey|aws4-hmac-sha256|negotiate)\s{1,4})?)([^\s'"\\,;)}\]]{4,4000})/gi,
    put: (match, head, value) => (isScheme(value) || HARMLESS.test(value) ? match : `${head}${MASK}`),
  },
  { find: /\b(bearer|basic)(\s{1,4})([A-Za-z0-9+/=._~-]{12,4000})/gi, put: maskToken },
  { find: /\b((?:set-)?cookie\\?['"]?\s{0,4}:\s{0,4}\\?['"]?)([^\r\n'"]{6,4000})/gi, put: maskCookies },
  // --password VALUE and -p style long options.
  {
    find: new RegExp(`(--${NAME})(\\s{1,4})([^\\s'"=-][^\\s'"]{3,500})`, 'gi'),
    put: (match, head, gap, value) => (HARMLESS.test(value) ? match : `${head}${gap}${MASK}`),
  },
  // name=value, with or without quotes, also escaped ones and inside URLs.
  {
    find: new RegExp(
      `(?<![A-Za-z0-9])(${NAME})(\\\\?["']?\\s{0,3}=\\s{0,3})(\\\\?["']?)([^\\s"'&,;)}\\]\\\\]{1,2000})`,
      'gi',
    ),
    put: (match, name, equals, quote, value) => (HARMLESS.test(value) ? match : `${name}${equals}${quote}${MASK}`),
  },
  // "name": "value" and name: 'value'.
  {
    find: new RegExp(`(?<![A-Za-z0-9])(${NAME}\\\\?["']?\\s{0,3}:\\s{0,3})(\\\\?["'])([^"'\\\\\\r\\n]{1,2000})`, 'gi'),
    put: (match, head, quote, value) => (isProse(value) || HARMLESS.test(value) ? match : `${head}${quote}${MASK}`),
  },
  // name: value, unquoted. A plain word that goes on as a sentence is prose about the password.
  {
    find: new RegExp(
      `(?<![A-Za-z0-9])(${NAME}\\s{0,2}:\\s{1,3}|${NAME}:)([^\\s"'&,;{}()\\[\\]\\\\]{4,2000})( [A-Za-z]{2})?`,
      'gi',
    ),
    put: (match, head, value, more = '') =>
      HARMLESS.test(value) || (more !== '' && /^[a-z]+\.?$/i.test(value)) ? match : `${head}${MASK}${more}`,
  },
  // A random-looking word right behind a key word.
  {
    find: /\b((?:api |access |secret |private |signing |bot )?(?:key|token|secret|password|credential|signature)\b(?: (?:is|was|used|provided|value|of))?[\s:="'`(]{1,6})([A-Za-z0-9+/=_.-]{20,500})/gi,
    put: (match, head, value) => (isRandom(value) ? `${head}${MASK}` : match),
  },
];

function maskToken(match: string, scheme: string, gap: string, value: string): string {
  return /\d/.test(value) || /[A-Z].*[a-z]|[a-z].*[A-Z]/.test(value) ? `${scheme}${gap}${MASK}` : match;
}

function maskCookies(_match: string, head: string, cookies: string): string {
  return `${head}${cookies.replace(/([\w.-]{1,80}=)(?!\[secret\])([^;\s]{5,4000}[^;\s\\])/g, `$1${MASK}`)}`;
}

function isScheme(value: string): boolean {
  return /^(?:bearer|basic|token|digest|negotiate|apikey)$/i.test(value);
}

/** Several ordinary words are a message, not a password. */
function isProse(value: string): boolean {
  return /^[A-Za-z][a-z]*(?: [A-Za-z]+[.,!]?){2,}/.test(value);
}

/** Mixed letters and digits without the look of a path, a version or a dotted name, and at least 3.2 bits a character. */
function isRandom(value: string): boolean {
  if (!/\d/.test(value) || !/[A-Za-z]/.test(value)) return false;
  if (/^[\w-]+(?:[./][A-Za-z_-]+)+$/.test(value) || /^\d/.test(value)) return false;
  return entropy(value) >= 3.2;
}

function entropy(value: string): number {
  const counts = new Map<string, number>();
  for (const character of value) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length);
  return bits;
}

// ---------------------------------------------------------------- known values

let lastKnown: readonly string[] = [];
let lastForms: readonly string[] = [];

/** Every spelling of the known values, longest first; remembered for the list that was asked for last. */
function formsOf(known: readonly string[]): readonly string[] {
  if (known.length === lastKnown.length && known.every((value, i) => value === lastKnown[i])) return lastForms;
  const forms = new Set<string>();
  for (const value of known) if (value.length >= SHORTEST_KNOWN) for (const form of spellings(value)) forms.add(form);
  lastKnown = [...known];
  lastForms = [...forms].sort((a, b) => b.length - a.length);
  return lastForms;
}

function spellings(value: string): readonly string[] {
  const bytes = new TextEncoder().encode(value);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0'));
  const json = JSON.stringify(value).slice(1, -1);
  const percent = escapeURI(value);
  return [
    value,
    json,
    JSON.stringify(json).slice(1, -1),
    json.replaceAll('/', '\\/'),
    percent,
    percent.replaceAll('%20', '+'),
    percent.toLowerCase() === percent ? percent : percent.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    hex.map((pair) => `%${pair.toUpperCase()}`).join(''),
    value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
    hex.join(''),
    hex.join('').toUpperCase(),
    hex.map((pair) => `\\x${pair}`).join(''),
    ...(bytes.length >= 8 ? base64Forms(bytes) : []),
  ];
}

/** encodeURIComponent throws on lone surrogates; such a value is looked for as it is. */
function escapeURI(value: string): string {
  try {
    return encodeURIComponent(value);
  } catch {
    return value;
  }
}

/**
 * Base64 of a value at each of the three places it can stand in a longer text, cut to the characters that
 * depend on nothing but the value (`user:password` in a Basic header).
 */
function base64Forms(bytes: Uint8Array): readonly string[] {
  const forms: string[] = [];
  for (let shift = 0; shift < 3; shift++) {
    const padded = String.fromCharCode(...new Uint8Array(shift), ...bytes);
    const from = Math.ceil((shift * 8) / 6);
    const to = Math.floor(((shift + bytes.length) * 8) / 6);
    const text = btoa(padded).slice(from, to);
    forms.push(text, text.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return forms;
}
