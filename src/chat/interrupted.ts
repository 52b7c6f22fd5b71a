// What is said of a wish that came to no end: a crash interrupted it, or it could not be stored. Nobody knows for sure
// what became of it, but where its incident stands now is known.

import { oneLine } from '../core/visible.ts';
import { STATE_WORDS } from '../core/wording.ts';
import type { Operations } from '../operations.ts';
import type { Asked } from './asked.ts';
import type { Answer } from './commands.ts';
import { said, STATE_ICONS } from './render-parts.ts';

/** For a wish that a crash interrupted: it is not carried out again, whoever wished it looks first. */
export async function interrupted(
  { text, command }: Pick<Asked, 'text' | 'command'>,
  operations: Pick<Operations, 'incident'>,
): Promise<Answer> {
  const id = 'id' in command && command.id !== null ? command.id : null;
  const state = id === null ? [] : await stateLines(id, operations);
  const look = state.length > 0 ? [] : ['Look first ("incidents", "history", "status").'];
  return {
    lines: [
      `⚠️ I was interrupted at "${text}": it may be done, or not.`,
      ...state,
      ...look,
      'Send it again if you still want it.',
    ],
  };
}

/** Where the incident stands now; empty when there is none of this number. */
export async function stateLines(id: string, operations: Pick<Operations, 'incident'>): Promise<readonly string[]> {
  // A store that cannot be read says nothing of it.
  const incident = (await operations.incident(id).catch(() => null))?.incident;
  if (!incident) return [];
  const reason = incident.reason ? ` (${said(incident.reason, 200)})` : '';
  return [`${STATE_ICONS[incident.state]} #${incident.id} now: ${STATE_WORDS[incident.state]}${reason}`];
}

/** A wish is not begun when nothing can be written down about it. */
export function notStored(text: string, why: unknown): readonly string[] {
  return [
    `❌ Nothing was done about "${text}": my memory (the store) cannot be written just now (${reasonOf(why)}).`,
    'See to that, and send it again. What only shows something still works.',
  ];
}

/** The same for a pop-up, which has no room for more. */
export function notStoredBriefly(why: unknown): string {
  return `❌ Nothing was done: my memory (the store) cannot be written (${oneLine(reasonOf(why), 60)}). See to that, then press again.`;
}

function reasonOf(why: unknown): string {
  return why instanceof Error && why.name === 'StoreError' ? oneLine(why.message, 200) : 'it gives no reason';
}
