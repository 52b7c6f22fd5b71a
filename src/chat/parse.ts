// Reads what a person wrote: a closed set of commands, forgiving of case, spelling and word order. What
// changes something must be spelled out: a slip of the thumb gets a suggestion, never an act.

import { GRAMMAR, type Command, type Grammar, SPLIT_WORDS } from './grammar.ts';
import { leadingSpan, spanWord, takeSpans, trailingSpan } from './spans.ts';

/** What was not understood, with the nearest thing that would be. */
export interface Suggestion {
  readonly name: 'suggestion';
  /** Why it was not carried out, for people. */
  readonly because: string;
  /** A command to type instead, e.g. `approve 7`. */
  readonly nearest: string;
}

const FILLERS = new Set(
  'a all an and any are at can could current do for from give get go how i in is it its last latest me my now number of on our out over please recent run see show tell that the them then there this to up us was we what whats with you your'.split(
    ' ',
  ),
);
const NEGATIONS = new Set(["don't", 'dont', 'not', 'never', 'no', 'stop', 'cancel', 'without']);
const DEFAULT_SILENCE_MS = 2 * 3_600_000;
const LONGEST_MS = 30 * 86_400_000;
const LONGEST_TEXT = 4_000;
/** A pause whose end was not understood would have none: it is asked for instead. */
const PAUSE_HOW_LONG: Suggestion = {
  name: 'suggestion',
  because: 'I do not understand how long, so I have not done anything.',
  nearest: 'pause 2h',
};

interface Read {
  readonly words: readonly string[];
  readonly ids: readonly string[];
  readonly spans: readonly number[];
}

/**
 * Understands one message. Never throws.
 *
 * @example parseCommand('Show ERRORS') // { name: 'errors', minutes: null }
 * @example parseCommand('silence 7 2h') // { name: 'silence', id: '7', forMs: 7200000 }
 * @example parseCommand('aprove 7') // { name: 'suggestion', nearest: 'approve 7', … }
 */
export function parseCommand(text: string): Command | Suggestion {
  const trimmed = text.trim().slice(0, LONGEST_TEXT);
  const free = freeText(trimmed);
  if (free) return free;
  const read = readWords(trimmed);
  const found = findGrammar(read);
  if (!found) return nothingKnown(read);
  const { grammar, exact, unknown } = found;
  const filled = fill(grammar, read, unknown);
  if (filled.name === 'suggestion') return filled;
  if (!grammar.changes) return unknown.length > 1 ? suggest(grammar, read, 'I am not sure what you mean.') : filled;
  if (/[?？]$/.test(trimmed)) return suggest(grammar, read, 'That is a question, so I have not done anything.');
  if (!exact)
    return suggest(grammar, read, `"${read.words.find((w) => !FILLERS.has(w)) ?? trimmed}" is not a command.`);
  // A service may be named to pull; any other unknown word could change the meaning of the sentence.
  const strange = grammar.name === 'pull' ? unknown.find((word) => NEGATIONS.has(word)) : unknown[0];
  return strange ? suggest(grammar, read, `I do not know "${strange}", so I have not done anything.`) : filled;
}

/** `why` and `pause` take the rest of the line as it is. */
function freeText(text: string): Command | Suggestion | null {
  const why = /^\/?(?:why|explain)(?:@\w+)?(?:[\s:_]+(.*))?$/is.exec(text);
  const subject = why?.[1]?.trim();
  if (subject) return { name: 'why', subject: /^(?:incident\s+)?#?(\d{1,9})$/i.exec(subject)?.[1] ?? subject };
  if (why) return null;
  const pause = /^(.*?)(?<!\p{L})(?:pause|freeze)(?:@\w+)?(?![\p{L}\p{N}'])[\s:_,]*(.*)$/isu.exec(text);
  return pause && pauseOf(pause[1] as string, (pause[2] as string).trim());
}

/**
 * `pause`, `pause 2h`, `please pause for an hour because of the move`, `pause maintenance 2h`. Null when something else
 * stands before the word: that may turn its meaning.
 */
function pauseOf(before: string, after: string): Command | Suggestion | null {
  const { spans, rest: polite } = takeSpans(before);
  if (words(polite.replaceAll('/', ' ')).some((word) => !FILLERS.has(word.toLowerCase()))) return null;
  const span = leadingSpan(after.replace(/^for\s+/i, '')) ?? trailingSpan(after);
  const reason = (span ? span.rest : after).replace(/^[\s:,]+|[\s:,;(-]+$/g, '');
  const [ms, ...others] = [...spans, ...(span ? [span.ms] : [])];
  if (ms === 0 || others.length > 0 || isOddAmount(reason) || (ms === undefined && namesAnEnd(reason)))
    return PAUSE_HOW_LONG;
  if (/^[?？]*$/.test(reason) && /[?？]$/.test(after)) return null;
  return {
    name: 'pause',
    reason: reason.replace(/^(for|because|:)\s+/i, ''),
    forMs: ms === undefined ? null : Math.min(ms, LONGEST_MS),
  };
}

/** An end that we do not understand: a time of the day, a while, a span in the middle of a reason. */
function namesAnEnd(reason: string): boolean {
  return UNTIL.test(reason) || takeSpans(reason.replaceAll('-', ' ')).spans.length > 0;
}

const UNTIL = /^(?:un)?till?\b|^(?:for\s+)?(?:a\s+(?:bit|few|couple|while|moment|little)|some\s+time)\b/i;

/** `5 apples`, `30`, `1h30`: how long, but not in words that we know. `2 of the workers` is how a reason begins. */
function isOddAmount(text: string): boolean {
  const [, next] = /^(?:for\s+)?[-+]?\d\S*(?:\s+(\S+))?/i.exec(text) ?? [null, null];
  return next !== null && !(next !== undefined && FILLERS.has(next.toLowerCase()));
}

function words(text: string): readonly string[] {
  return text.split(/[^\p{L}\p{N}#'.-]+/u).filter(Boolean);
}

function readWords(text: string): Read {
  const words: string[] = [];
  const ids: string[] = [];
  const flat = text
    .toLowerCase()
    .replace(/^\/(\w+)@\w+/, '/$1')
    .replace(/[’`]/g, "'")
    .replace(/roll[\s-]back/g, 'rollback')
    .replace(/[/_]/g, ' ');
  const { spans, rest } = takeSpans(flat);
  for (const word of rest.split(/[^\p{L}\p{N}#'.-]+/u)) {
    const bare = word.replace(/^[.'-]+|[.'-]+$/g, '');
    // "-1" is no number of an incident.
    const id = /^'?#?(\d{1,9})[.'-]*$/.exec(word)?.[1];
    if (id) ids.push(id);
    else if (bare) words.push(bare);
  }
  return { words, ids, spans };
}

interface Found {
  readonly grammar: Grammar;
  /** True when the command's own word was spelled exactly. */
  readonly exact: boolean;
  readonly unknown: readonly string[];
}

/** The command whose words explain the most of what was written. */
function findGrammar({ words, ids }: Read): Found | null {
  let best: (Found & { readonly score: number }) | null = null;
  for (const grammar of GRAMMAR) {
    const own = words.find((word) => grammar.words.includes(word));
    const near = own ?? words.find((word) => grammar.words.some((w) => isSlip(word, w)) && !isVocabulary(word));
    if (near === undefined) continue;
    const rest = words.filter((word) => word !== near && !FILLERS.has(word));
    const known = rest.filter((word) => isNear(word, [...grammar.words, ...grammar.with]));
    const unknown = rest.filter((word) => !known.includes(word));
    const wantsId = [
      'incident',
      'plan',
      'approve',
      'deny',
      'rollback',
      'silence',
      'resolve',
      'merge',
      'split',
      'ungroup',
      'logs',
      'why',
      'fix',
    ].includes(grammar.name);
    // A word that changes something outranks one that only shows, so that "fix errors" is no "errors".
    const score =
      known.length * 2 -
      unknown.length * 3 +
      (own ? 2 : 0) +
      (grammar.changes && own ? 1 : 0) +
      (ids.length > 0 && wantsId ? 1 : 0);
    if (!best || score > best.score) best = { grammar, exact: own !== undefined, unknown, score };
  }
  return best;
}

/** The command with its arguments, or what is missing. */
function fill(grammar: Grammar, read: Read, unknown: readonly string[]): Command | Suggestion {
  const [id] = read.ids;
  const { name } = grammar;
  const minutes = minutesOf(read);
  if (name === 'merge') return mergeOf(grammar, read);
  if (read.ids.length > 1 && name !== 'silence') return suggest(grammar, read, 'One number at a time, please.');
  switch (name) {
    case 'health':
    case 'errors':
      return { name, minutes };
    case 'report':
    case 'status':
    case 'history':
    case 'help':
      return { name };
    case 'resume':
      return id || read.spans.length > 0 ? suggest(grammar, read, 'I resume at once or not at all.') : { name };
    case 'fix':
      return { name, id: id ?? null };
    case 'pull':
      return unknown.length > 1
        ? suggest(grammar, read, 'Name one service, or none for all.')
        : { name, service: unknown[0] ?? null };
    case 'incidents':
      return id ? { name: 'incident', id } : { name, all: read.words.includes('all') };
    case 'incident':
      return id ? { name, id } : { name: 'incidents', all: read.words.includes('all') };
    case 'approve':
    case 'deny':
      // "approve 7 d" is no approval of whatever waits.
      return read.spans.length > 0 ? suggest(grammar, read, 'Which incident?') : { name, id: id ?? null };
    case 'plan':
    case 'rollback':
    case 'resolve':
    case 'ungroup':
    case 'logs':
      return id ? { name, id } : suggest(grammar, read, 'Which incident?');
    case 'split':
      return splitOf(grammar, read);
    case 'silence':
      return silenceOf(grammar, read);
    case 'why':
      return id ? { name, subject: id } : suggest(grammar, read, 'Why what?');
    case 'pause':
      // What is a pause has been read by now; here something stands before the word.
      return suggest(grammar, read, 'Say it with "pause" first, please.');
  }
}

/** The first counts for the second; "into" may stand between them. */
function mergeOf(grammar: Grammar, { ids, spans }: Read): Command | Suggestion {
  const [id, into, ...more] = ids;
  if (!id || !into || more.length + spans.length > 0)
    return suggest(grammar, { words: [], ids: [], spans: [] }, 'Which two incidents?');
  return { name: 'merge', id, into };
}

function splitOf(grammar: Grammar, read: Read): Command | Suggestion {
  const [id] = read.ids;
  if (!id) return suggest(grammar, read, 'Which incident?');
  const [by, ...more] = read.words.filter((word) => SPLIT_WORDS.includes(word));
  const isAskedBy = read.words.includes('by');
  if (more.length + read.spans.length > 0 || isAskedBy !== (by !== undefined))
    return suggest(grammar, { ...read, spans: [] }, 'By what? I have not done anything.');
  return { name: 'split', id, by: by ?? null };
}

function minutesOf({ spans, ids }: Read): number | null {
  const ms = spans[0] ?? (ids[0] ? Number(ids[0]) * 60_000 : null);
  return ms === null || ms < 60_000 ? null : Math.min(Math.round(ms / 60_000), 60 * 24 * 30);
}

function silenceOf(grammar: Grammar, read: Read): Command | Suggestion {
  const [id, hours, ...more] = read.ids;
  const [span, ...others] = read.spans;
  if (!id) return suggest(grammar, read, 'Which incident?');
  const forMs = span ?? (hours ? Number(hours) * 3_600_000 : DEFAULT_SILENCE_MS);
  if (forMs === 0 || more.length + others.length > 0 || (hours && span !== undefined))
    return suggest(grammar, { ...read, spans: [] }, 'I do not understand how long, so I have not done anything.');
  return { name: 'silence', id, forMs: Math.min(forMs, LONGEST_MS) };
}

function suggest(grammar: Grammar, { ids, spans }: Read, because: string): Suggestion {
  const usage = ids[0] ? grammar.usage.replace(/\d+|errors$/, ids[0]) : grammar.usage;
  const span = spans[0];
  return {
    name: 'suggestion',
    because,
    nearest: span && grammar.name === 'silence' ? usage.replace(/\d+[smhdw]$/, spanWord(span)) : usage,
  };
}

function nothingKnown(read: Read): Suggestion {
  const words = read.words.filter((word) => !FILLERS.has(word));
  const word = words[0] ?? read.words[0];
  // A number alone can only mean an incident.
  const [id] = read.ids;
  if (word === undefined && id) return { name: 'suggestion', because: 'What about it?', nearest: `incident ${id}` };
  const nearest = word === undefined ? null : nearestGrammar(words);
  const because = word === undefined ? 'Tell me what to do.' : `I do not know "${word.slice(0, 40)}".`;
  return nearest ? suggest(nearest, read, because) : { name: 'suggestion', because, nearest: 'help' };
}

function nearestGrammar(words: readonly string[]): Grammar | null {
  let best: { readonly grammar: Grammar; readonly distance: number } | null = null;
  for (const word of words)
    for (const grammar of GRAMMAR)
      for (const own of grammar.words) {
        const distance = editDistance(word, own) / Math.max(word.length, own.length);
        if (distance <= 0.5 && (!best || distance < best.distance)) best = { grammar, distance };
      }
  return best?.grammar ?? null;
}

function isVocabulary(word: string): boolean {
  return FILLERS.has(word) || NEGATIONS.has(word) || GRAMMAR.some((g) => g.words.includes(word));
}

function isNear(word: string, known: readonly string[]): boolean {
  return known.includes(word) || (!NEGATIONS.has(word) && known.some((k) => isSlip(word, k)));
}

/** One slip in a word of four letters or more, two from eight on. */
function isSlip(word: string, known: string): boolean {
  if (word.length < 4 || NEGATIONS.has(word)) return false;
  return editDistance(word, known) <= (Math.min(word.length, known.length) >= 8 ? 2 : 1);
}

/** Insertions, deletions, replacements, and neighbours swapped. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 3 || a.length > 40) return 99;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((last[j] as number) + 1, (row[j - 1] as number) + 1, (last[j - 1] as number) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] as number) + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length] as number;
}
