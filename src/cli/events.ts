// What a person sees while the monitor runs: one line for each thing that happens to an incident, and the output of the
// supervised program as it comes. Our lines name us, so that no reader of logs takes them for those of the program.

import { incidentRow, type Incident } from '../core/incident.ts';
import { canTakeBack } from '../core/outcome.ts';
import { oneLine } from '../core/visible.ts';
import { withNames } from '../core/wording.ts';
import { type Colors, span } from './output.ts';

export type EventWord =
  | 'seen'
  | 'again'
  | 'waits'
  | 'asks'
  | 'healing'
  | 'checked'
  | 'fixed'
  | 'taken back'
  | 'no help'
  | 'over'
  | 'needs you'
  | 'silenced';

/** One thing that happened, in words. */
export interface Happening {
  readonly word: EventWord;
  readonly text: string;
  /** What one may type about it. */
  readonly commands: readonly string[];
}

/** Incidents whose last line is remembered, so that nothing is said twice. */
const KNOWN_CAP = 2_000;
const PROOFS_SHOWN = 3;

/**
 * Tells changes of incidents. A change that a person would read the same words about, such as a higher count, is none.
 *
 * @example const happenings = new Happenings({ flags: '', now: () => clock.now() });
 */
export class Happenings {
  readonly #flags: string;
  readonly #now: () => number;
  readonly #last = new Map<string, { readonly over: boolean; readonly said: string }>();

  /** `flags` is appended to commands that are named, e.g. ` --state /srv/state`. */
  constructor({ flags, now }: { readonly flags: string; readonly now: () => number }) {
    this.#flags = flags;
    this.#now = now;
  }

  /** Null when there is nothing new to say. */
  of(incident: Incident): Happening | null {
    const before = this.#last.get(incident.id);
    const { word, text, ids } = sentence(incident, before !== undefined, this.#now());
    const said = `${word} ${text}`;
    // A repeat of something that a person knows about: the state is the same, whatever else has changed.
    if (before?.said === said || (word === 'seen' && before && !before.over)) return null;
    this.#last.delete(incident.id);
    this.#last.set(incident.id, { over: incident.state.name === 'resolved', said });
    if (this.#last.size > KNOWN_CAP) this.#last.delete([...this.#last.keys()][0] as string);
    return { word, text, commands: ids.map((verb) => `selfheal ${verb} ${incident.id}${this.#flags}`) };
  }
}

interface Sentence {
  readonly word: EventWord;
  readonly text: string;
  /** Commands that take the incident's id. */
  readonly ids: readonly string[];
}

function sentence(incident: Incident, known: boolean, now: number): Sentence {
  const { state, outcome } = incident;
  const reason = fact(incident.reason);
  switch (state.name) {
    case 'open':
      return openSentence(incident, known, Math.max(0, state.notBefore - now));
    case 'awaiting-approval':
      return { word: 'asks', text: `may I? ${reason}`, ids: ['plan', 'approve', 'deny'] };
    case 'healing':
      return { word: 'healing', text: reason, ids: [] };
    case 'verifying':
      return { word: 'checked', text: reason, ids: [] };
    case 'resolved':
      if (state.by === 'fix') {
        const ids = canTakeBack(outcome) ? ['rollback'] : [];
        return { word: 'fixed', text: `${reason}${proof(incident)}`, ids };
      }
      return { word: outcome?.undoneBy ? 'taken back' : 'over', text: reason, ids: [] };
    case 'needs-human': {
      const taken = outcome?.kind === 'rolled-back' && outcome.reason === incident.reason;
      return { word: taken ? 'taken back' : 'needs you', text: reason, ids: ['incident', 'plan'] };
    }
    case 'silenced':
      return { word: 'silenced', text: `${reason}, for ${span(state.until - now)}`, ids: [] };
  }
}

function openSentence(incident: Incident, known: boolean, waitMs: number): Sentence {
  const reason = fact(incident.reason);
  const what = `${incident.type} in ${oneLine(incident.service, 60)}: ${oneLine(incident.message, 200)}`;
  const next = waitMs > 1_000 ? `; next try in ${span(waitMs)}` : '';
  if (incident.reason === 'it came back') return { word: 'again', text: what, ids: [] };
  if (incident.outcome && incident.outcome.reason === incident.reason && incident.attempts > 0)
    return { word: 'no help', text: `${reason}${next}`, ids: [] };
  if (incident.reason === '' || !known) return { word: 'seen', text: what, ids: [] };
  return { word: 'waits', text: reason, ids: [] };
}

/** The checks that passed, each once. */
function proof({ outcome }: Incident): string {
  const passed = (outcome?.evidence ?? []).filter((one) => one.passed === true && one.check !== '');
  const names = [...new Set(passed.map((one) => oneLine(one.check, 80)))];
  if (names.length === 0) return '';
  const more = names.length > PROOFS_SHOWN ? ` and ${names.length - PROOFS_SHOWN} more` : '';
  return ` (✓ ${names.slice(0, PROOFS_SHOWN).join(', ')}${more})`;
}

const fact = (text: string): string => oneLine(withNames(text), 240);

/** `12:00:01 selfheal: #1 fixed      …   undo: selfheal rollback 1`. */
export function happeningLine(incident: Incident, { word, text, commands }: Happening, look: EventLook): string {
  const { colors } = look;
  const time = new Date(look.now).toLocaleTimeString('en-GB', { hour12: false });
  const hint = word === 'fixed' && commands[0] ? `undo: ${commands[0]}` : commands.join(' · ');
  const tail = hint === '' ? '' : `  ${colors.dim(hint)}`;
  return `${colors.dim(`${time} selfheal:`)} #${incident.id} ${paint(word, colors)} ${text}${tail}`;
}

export interface EventLook {
  readonly colors: Colors;
  /** Epoch milliseconds. */
  readonly now: number;
}

const WORD_WIDTH = 10;

function paint(word: EventWord, colors: Colors): string {
  const padded = word.padEnd(WORD_WIDTH);
  switch (word) {
    case 'fixed':
      return colors.green(padded);
    case 'healing':
    case 'checked':
      return colors.cyan(padded);
    case 'needs you':
    case 'asks':
    case 'taken back':
    case 'no help':
      return colors.yellow(padded);
    case 'seen':
    case 'again':
      return colors.red(padded);
    default:
      return padded;
  }
}

/** The same for programs. */
export function happeningJson(incident: Incident, { word, text, commands }: Happening, now: number): object {
  return {
    event: 'incident',
    happened: word,
    text,
    commands,
    at: new Date(now).toISOString(),
    incident: incidentRow(incident),
  };
}
