// Words that several faces share: how a command line, a way back, a person and a state read.

import type { IncidentStateName } from './incident.ts';
import type { Step } from './plan.ts';
import { visible } from './visible.ts';

/** States as a person would say them. */
export const STATE_WORDS: Readonly<Record<IncidentStateName, string>> = {
  open: 'open',
  'awaiting-approval': 'waits for you',
  healing: 'being fixed',
  verifying: 'fixed, being watched',
  resolved: 'over',
  'needs-human': 'needs you',
  silenced: 'silenced',
};

/**
 * An argument vector as a person would type it into a shell: every word is exact, on one line, and no control character
 * is left. For reading and copying only; nothing runs this text.
 *
 * @example commandLine(['reload', 'a b']) // "reload 'a b'"
 */
export function commandLine(argv: readonly string[]): string {
  return argv.map(shellWord).join(' ');
}

function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (!/[\p{Cc}\\]/u.test(word)) return `'${visible(word).replaceAll("'", String.raw`'\''`)}'`;
  const escaped = word
    .replaceAll(/[\\']/g, String.raw`\$&`)
    .replaceAll('\n', String.raw`\n`)
    .replaceAll(/\p{Cc}/gu, (control) => String.raw`\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `$'${visible(escaped)}'`;
}

/** The way back of a step, in one line. */
export function undoText(step: Step): string {
  const { undo } = step;
  switch (undo.kind) {
    case 'restore-snapshot':
      return step.kind === 'run' ? 'puts what it made aside' : 'puts back what was there';
    case 'run':
      return commandLine(undo.argv);
    case 'none':
      return `none: ${undo.reason}`;
  }
}

/**
 * Names people instead of the faces they used, wherever they stand in a text.
 *
 * @example withNames('denied by telegram:1001') // 'denied by user 1001'
 */
export function withNames(text: string): string {
  return text
    .replaceAll(/\btelegram:(\d{1,20})\b/g, 'user $1')
    .replaceAll(/\bcli:([\w.-]{1,32})/g, '$1 at the terminal');
}
