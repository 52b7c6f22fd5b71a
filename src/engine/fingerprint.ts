// Two hashes that survive what changes from one report to the next (ids, numbers, paths, addresses,
// releases) and keep different problems apart. `version` grows whenever a mask changes.

import type { Fingerprint } from '../core/detection.ts';
import { remembering } from '../core/memo.ts';
import { redact } from '../core/redact.ts';
import type { Trace } from '../core/record.ts';

/** Version of the masks below: stored hashes of another version never match. */
export const FINGERPRINT_VERSION = 2;

/** What a mask took out, for people who ask why. */
export interface Masked {
  readonly from: string;
  readonly to: string;
}

interface Mask {
  readonly find: RegExp;
  readonly put: string | ((match: string, ...groups: string[]) => string);
}

const TEMPLATE_KEPT = 300;

/** A number that names something: a status, an error number, an exit code, a signal. It stays. */
const CODED =
  /(?:\b(?:code|codes|errno|status|error|http|https|exit|exited|signal|sqlstate|type|version|winerror|level|phase|base|rc|returned|with|argument|position)\b[\s:=#([/"']{0,4}|\[(?:errno|winerror) )$/i;

/** In this order: the more specific first. */
const MASKS: readonly Mask[] = [
  // Credentials and what carries them never tell problems apart.
  { find: /\s*[([{][^()[\]{}]{0,200}\[secret\](?:[^()[\]{}]|\{[^{}]*\}){0,200}[)\]}]+/g, put: '' },
  { find: /[,;]?\s*[\w.-]{1,60}['"]?\s?[=:]\s?['"]?(?:Bearer |Basic )?\[secret\]['"]?/g, put: '' },
  { find: /\s*[([][^()[\]{}'"\n]{0,80}: ?(?=\n|$)/g, put: '' },
  { find: /\.? ?Did you (?:mean|forget)\b[^?]{0,200}\?.*$/gms, put: '' },
  { find: /\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?/g, put: '<time>' },
  { find: /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, put: '<id>' },
  { find: /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}/g, put: '<mail>' },
  // An address keeps its host; what comes behind it changes with every call.
  {
    find: /\b([a-z][a-z0-9+.-]{1,12}:\/\/)([^\s/?#"'<>)\]]{1,200})([/?#][^\s"'<>)\]]*)?/gi,
    put: (_, scheme, host) => `${scheme}${host}<path>`,
  },
  { find: /\burl: \/[^\s"')]{0,400}/g, put: 'url: <path>' },
  // A file keeps its name; the folders change with releases and machines.
  {
    find: /(^|[\s"'`(=:[,<])(?:~|\.{1,2}|[A-Za-z]:)?(?:[\\/]{1,2}[^\s\\/"'`():,;<>|]{1,120})*[\\/]{1,2}([^\s\\/"'`():,;<>|]{1,120})/g,
    // What the mask of addresses left is no file.
    put: (match, lead, name) => (match.startsWith('://') ? match : `${lead}<path>/${name}`),
  },
  {
    find: /(^|[\s"'`(=])(?:[\w.@-]{1,80}\/){1,20}([\w.@-]{1,120}\.\w{1,6})\b/g,
    put: (_, lead, name) => `${lead}<path>/${name}`,
  },
  // A line moves with every change of its file.
  {
    find: /(\.(?:py|rb|rs|js|mjs|cjs|ts|tsx|jsx|go|java|kt|php|c|cc|cpp|h|cs|sh|pl|lua|swift|ex|erl|slim|erb|vue)):\d{1,7}(?::\d{1,5})?/g,
    put: (_, ending) => `${ending}:<line>`,
  },
  // Two addresses that name no machine.
  { find: /\b127\.0\.0\.1\b/g, put: 'localhost' },
  { find: /\b0\.0\.0\.0\b/g, put: '*' },
  { find: /\b0x[0-9a-f]{3,}\b/gi, put: '<hex>' },
  { find: /\b(?!127\.0\.0\.1|0\.0\.0\.0)(?:\d{1,3}\.){3}\d{1,3}\b/g, put: '<ip>' },
  { find: /(^|[\s[(])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{1,4}(?![\w:])/gi, put: '$1<ip>' },
  {
    find: /\b(?:org|req|request|proj|user|sess|session|run|msg|chatcmpl|resp|call|task|job|trace|span|tx|txn|thread|conn|batch|evt)[-_](?=[\w-]*\d|[A-Za-z0-9]{8})[A-Za-z0-9-]{4,80}\b/g,
    put: '<id>',
  },
  { find: /\b(?=[0-9a-f]*\d)(?=[0-9]*[a-f])[0-9a-f]{7,64}\b/g, put: '<hex>' },
  { find: /\b(?=\w*\d)(?=\w*[A-Za-z])[A-Za-z0-9_-]{20,120}\b/g, put: '<id>' },
  {
    find: /\bv?\d{1,4}(?:\.\d{1,6}){2,4}(?:[-+][\w.]{1,30})?\b/g,
    put: '<version>',
  },
];

/** The message with its variables masked, and what was masked, in order. */
export const templateOf = remembering(templateAnew);

function templateAnew(message: string): { readonly template: string; readonly masks: readonly Masked[] } {
  const masks: Masked[] = [];
  // Whether a tool's level stands before its words depends on who logged them.
  let text = redact(message)
    .slice(0, 2_000)
    .replace(/^(?:fatal|error|ERROR|FATAL): /, '');
  for (const { find, put } of MASKS)
    text = text.replace(find, (match: string, ...groups: string[]) => {
      const to = typeof put === 'string' ? put.replace('$1', groups[0] ?? '') : put(match, ...groups);
      if (match !== to) masks.push({ from: match, to });
      return to;
    });
  text = maskNumbers(text, masks);
  text = maskLastValue(text, masks);
  return { template: text.replace(/\s+/g, ' ').trim().slice(0, TEMPLATE_KEPT), masks };
}

/** Numbers, also with units and separators; those that name something stay. Ports behind a host do too. */
function maskNumbers(text: string, masks: Masked[]): string {
  return text.replace(
    /(?<![A-Za-z_<])([-+]?\d[\d,]*(?:\.\d+)?)(?=([a-zA-Z%]{0,3})\b|[^\w]|$)/g,
    (match, _number, _unit, at: number) => {
      const before = text.slice(Math.max(0, at - 24), at);
      const digits = match.replace(/\D/g, '');
      if (CODED.test(before) && digits.length <= 5 && !match.includes('.') && !/position\W*$/i.test(before))
        return match;
      if (
        /[\w>\]]:$/.test(before) &&
        /[A-Za-z>\]]|127\.0\.0\.1|0\.0\.0\.0/.test(before) &&
        Number(digits) < 32_768 &&
        digits.length >= 2 &&
        digits.length <= 5
      )
        return match;
      if (/\bport[= ]$/i.test(before)) return match;
      masks.push({ from: match, to: '<n>' });
      return '<n>';
    },
  );
}

/** `…: 'value'` at the very end is the value a check tripped over, unless it is all the message there is. */
function maskLastValue(text: string, masks: Masked[]): string {
  return text.replace(
    /^(\w[\w.]*: )?([^:]{12,}[^:]*: )(['"][^'"]{0,200}['"])\s*$/s,
    (match, type: string | undefined, lead: string, value: string) => {
      if (value.includes('<path>') || /positional argument|keyword|named|attribute/.test(lead)) return match;
      masks.push({ from: value, to: '<value>' });
      return `${type ?? ''}${lead}<value>`;
    },
  );
}

export interface FingerprintInput {
  readonly type: string;
  /** What was said, by the utterance that decided the class: `Type: message`, or a message. */
  readonly said: string;
  /** Values that name the problem by themselves; then the words do not matter. */
  readonly identity: readonly (string | number)[] | null;
  readonly trace: Trace | undefined;
}

/** States of the world around the code: a bare `TimeoutError` is one problem, whichever call has met it. */
const CONDITIONS: ReadonlySet<string> = new Set([
  'timeout',
  'rate_limit',
  'provider_overloaded',
  'quota_exhausted',
  'out_of_memory',
  'disk_full',
  'too_many_files',
]);

/** The fingerprint of a problem. Pure: the same input gives the same hashes on every host and release. */
export function fingerprintOf(input: FingerprintInput): Fingerprint {
  const { template } = templateOf(input.said);
  const words = input.identity ? input.identity.join('\u0001') : template;
  const kind = hashOf(`${FINGERPRINT_VERSION}\u0000${input.type}\u0000${words}`);
  const isOfCode = input.identity === null && !CONDITIONS.has(input.type) && saysNothing(template);
  const place = isOfCode ? placeOf(input.trace) : null;
  return {
    version: FINGERPRINT_VERSION,
    kind,
    place: place === null ? kind : hashOf(`${kind}\u0000${place}`),
    template,
  };
}

/**
 * True for messages that any code could have led to. The message names the problem wherever it can; only
 * where it says nothing does the place decide, or one problem would be reported once per call path.
 */
function saysNothing(template: string): boolean {
  const words = template.replace(/^[\w.$:\\]+(?:Error|Exception|Errno::\w+|panic)?:?\s*/, '');
  return (
    words.replace(/<\w+>|[^A-Za-z]/g, '').length < 4 ||
    /^(?:list|tuple|string|array|pop from empty|index|Index)\b.{0,40}\b(?:out of (?:range|bounds)|empty list)|^(?:integer |float )?(?:division|modulo|divide) by zero|^division by zero|null pointer|nil pointer|^(?:Assertion|assertion) failed\b|^(?:internal|unknown|unexpected) error\W*$/i.test(
      words,
    )
  );
}

/** The innermost application frames, without lines and folders; null when there are none. */
function placeOf(trace: Trace | undefined): string | null {
  const frames = (trace?.frames ?? []).filter((frame) => frame.inApp).slice(-3);
  if (frames.length === 0) return null;
  return frames.map((frame) => `${baseName(frame.file)}:${frame.function ?? ''}`).join('\u0001');
}

function baseName(path: string): string {
  return (path.split(/[\\/]/).at(-1) ?? path).replace(/[-.][0-9a-f]{6,}(?=\.)/gi, '').replace(/\d+/g, '0');
}

/** 64 bits of a well-mixed non-cryptographic hash (two lanes of cyrb53), as 16 hex digits. */
export function hashOf(text: string): string {
  return lane(text, 0x9e3779b9) + lane(text, 0x85ebca6b);
}

function lane(text: string, seed: number): string {
  let a = 0xdeadbeef ^ seed;
  let b = 0x41c6ce57 ^ seed;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  return (a >>> 0).toString(16).padStart(8, '0');
}
