// The lines that cards are made of: steps, proofs, evidence, times. Every fact stays on its line: none can pose as
// another one.

import type { Incident } from '../core/incident.ts';
import type { Evidence } from '../core/outcome.ts';
import type { Check, Plan, Step } from '../core/plan.ts';
import { clip, oneLine } from '../core/visible.ts';
import { commandLine, undoText, withNames } from '../core/wording.ts';

const EXCERPT_CAP = 600;
const EVIDENCE_SHOWN = 4;
/** Characters of steps on a card: what decides a question must never be cut off by the length of a message. */
const STEPS_ROOM = 1_800;
const LINE_CAP = 300;

/** Each step with its exact command where it has one, and its way back; what is too much is counted. */
export function stepLines({ steps, incident }: Pick<Plan, 'steps' | 'incident'>): readonly string[] {
  const shown: string[] = [];
  let room = STEPS_ROOM;
  for (const [index, step] of steps.entries()) {
    const block = stepBlock(step, index);
    room -= block.join('\n').length + 1;
    if (room < 0) {
      const left = steps.length - index;
      return [...shown, `… and ${left} more ${left === 1 ? 'step' : 'steps'}: read "plan ${incident}" first.`];
    }
    shown.push(...block);
  }
  return shown;
}

function stepBlock(step: Step, index: number): readonly string[] {
  const command = step.kind === 'run' ? [`   $ ${clip(commandLine(step.argv), 4 * LINE_CAP)}`] : [];
  return [`${index + 1}. ${fact(step.title)}`, ...command, `   undo: ${fact(undoText(step))}`];
}

/** What must hold afterwards. */
export function checkLines(checks: readonly Check[]): readonly string[] {
  const own = checks.filter((check) => check.proves === 'operation').map((check) => oneLine(check.title, 120));
  return own.length === 0 ? [] : [`Proof: ${clip(own.join('; '), LINE_CAP)}`];
}

const RESTARTS: Readonly<Record<Plan['restart'], string>> = {
  none: '',
  done: '; restarts the service',
  recommended: '; a restart is recommended afterwards',
};

export function riskLine({ risk, restart }: Plan): string {
  return `Risk: ${risk}${RESTARTS[restart]}`;
}

/** The evidence of an outcome, the telling part first. */
export function evidenceLines(evidence: readonly Evidence[]): readonly string[] {
  const shown = evidence
    .slice(0, EVIDENCE_SHOWN)
    .map((e) => `${MARKS[String(e.passed)] ?? '?'} ${oneLine(e.check, 120)}: ${oneLine(e.text, 160)}`);
  const more = evidence.length - EVIDENCE_SHOWN;
  return more > 0 ? [...shown, `and ${more} more checks`] : shown;
}

/** Commands for the host, one a line, as they are typed. */
export function commandLines(commands: readonly string[]): readonly string[] {
  return commands.length === 0 ? [] : ['Next, on the host:', ...commands.map((one) => `$ ${clip(one, LINE_CAP)}`)];
}

const MARKS: Readonly<Record<string, string>> = { true: '✓', false: '✗', unknown: '?' };

export function excerptOf(incident: Incident): string {
  return oneLine(incident.message, EXCERPT_CAP);
}

/** A value inside our own words: one line, cut, with people named. */
export function fact(text: string): string {
  return oneLine(withNames(text), LINE_CAP);
}

/** `14:05`, with the day in front when it is not today. */
export function clockTime(at: number, timezone: string, now: number = at): string {
  const hour = new Date(at).toLocaleTimeString('en-GB', { timeZone: timezone, hour: '2-digit', minute: '2-digit' });
  const time = timezone === 'UTC' ? `${hour} UTC` : hour;
  return dayOf(at, timezone) === dayOf(now, timezone) ? time : `${dayOf(at, timezone)} ${time}`;
}

/** `2026-11-23` in that place. */
export function dayOf(at: number, timezone: string): string {
  return new Date(at).toLocaleDateString('sv-SE', { timeZone: timezone });
}

/** `3 days`, `2 h`, `40 min`, `12 s`. */
export function spanText(ms: number): string {
  if (ms >= 172_800_000) return `${Math.floor(ms / 86_400_000)} days`;
  if (ms >= 7_200_000) return `${Math.floor(ms / 3_600_000)} h`;
  if (ms >= 120_000) return `${Math.floor(ms / 60_000)} min`;
  return `${Math.max(0, Math.round(ms / 1000))} s`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Joins lines; null is left out, an empty string is a paragraph, never two in a row. */
export function lines(...parts: readonly (string | null)[]): string {
  const kept = parts.filter((part): part is string => part !== null);
  return kept
    .filter((part, index) => part !== '' || (index > 0 && kept[index - 1] !== '' && index < kept.length - 1))
    .join('\n');
}
