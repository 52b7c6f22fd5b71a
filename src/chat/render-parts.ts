// What the answers are made of: lines, rows, times and the words for what was done. Untrusted text is made visible and
// cut here, never interpreted.

import type { ActionAnswer } from '../answers.ts';
import type { IncidentRow, IncidentStateName } from '../core/incident.ts';
import type { Severity } from '../core/words.ts';
import { oneLine } from '../core/visible.ts';
import { withNames } from '../core/wording.ts';

export const SEVERITY_ICONS: Readonly<Record<Severity, string>> = { critical: '🚨', high: '⚠️', medium: '🔸', low: '▫️' };
export const STATE_ICONS: Readonly<Record<IncidentStateName, string>> = {
  open: '👀',
  'awaiting-approval': '❓',
  healing: '🔧',
  verifying: '🔧',
  resolved: '✅',
  'needs-human': '🆘',
  silenced: '🔕',
};
export const MESSAGE_CAP = 100;
export const ROWS = 15;

export function section(title: string, lines: readonly string[]): readonly string[] {
  if (lines.length === 0) return [];
  return title ? ['', title, ...lines] : ['', ...lines];
}

export function rowLines(rows: readonly IncidentRow[]): readonly string[] {
  const shown = rows
    .slice(0, ROWS)
    .map(
      (row) =>
        `${STATE_ICONS[row.state]} #${row.id} ${oneLine(row.service, 40)} ${row.type}${row.count > 1 ? ` ×${row.count}` : ''}: ${oneLine(row.message, MESSAGE_CAP)}`,
    );
  return rows.length > ROWS ? [...shown, `and ${rows.length - ROWS} more`] : shown;
}

/** A value inside our own words: one line, cut, with people named. */
export function said(text: string, limit: number): string {
  return oneLine(withNames(text), limit);
}

export function actionLine(answer: ActionAnswer): string {
  return doneLine(answer, capital);
}

export function doneLine(answer: ActionAnswer, styled: (words: string) => string): string {
  const message = styled(said(forPeople(answer.message), 300));
  const incident = answer.incident && !/\bincident \d/i.test(message) ? `#${answer.incident.id} · ` : '';
  return `${answer.ok ? '✅' : '❌'} ${incident}${message}`;
}

/** The same for a pop-up, which has no room for more. */
export function doneText({ ok, message }: ActionAnswer): string {
  return `${ok ? '✅' : '❌'} ${capital(forPeople(message))}`;
}

/** Operations speak to a terminal: times in ISO form, commands with the program's name. */
export function forPeople(message: string): string {
  const times = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
  const told = message.replace(times, (iso) => timeText(Date.parse(iso))).replaceAll('`selfheal ', '`');
  return withNames(told).replaceAll('`', '"');
}

/** `2026-11-23 14:05 UTC`: an answer may be read in any place. */
export function timeText(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** How long ago that was, as `span`. */
export function ago(iso: string, now: number): string {
  return span(now - Date.parse(iso));
}

/** `40 s`, `5 min`, `3 h`, `2 days`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  return minutesText(Math.round(seconds / 60));
}

export function minutesText(minutes: number): string {
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
