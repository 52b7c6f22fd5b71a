// Inline buttons: a letter for the action and the handle of the card, nothing else. What they mean is
// looked up in our own records; the Bot API allows 64 bytes, these take 24.

import { InlineKeyboard } from 'grammy';
import type { Button } from '../../core/notification.ts';

/** What a press can mean: an action, or the two answers to "are you sure?". */
export type Press = Button['action'] | 'rollback-sure' | 'leave';

const LETTERS: Readonly<Record<Press, string>> = {
  approve: 'a',
  deny: 'd',
  details: 'i',
  silence: 's',
  rollback: 'r',
  'rollback-sure': 'y',
  leave: 'n',
};
const LABELS: Readonly<Record<Press, string>> = {
  approve: 'Approve',
  deny: 'Deny',
  details: 'Details',
  silence: 'Silence 2 h',
  rollback: 'Roll back',
  'rollback-sure': 'Yes, roll back',
  leave: 'No, leave it',
};

/** Two in a row. */
export function keyboardOf(actions: readonly Press[], handle: string): InlineKeyboard {
  const keyboard = new InlineKeyboard();
  actions.forEach((action, index) => {
    if (index > 0 && index % 2 === 0) keyboard.row();
    keyboard.text(LABELS[action], `${LETTERS[action]}:${handle}`);
  });
  return keyboard;
}

/** Reads what a button sent; null for anything that we cannot have made. */
export function readPress(data: string): { readonly press: Press; readonly handle: string } | null {
  const match = /^([a-z]):([\w-]{22})$/.exec(data);
  const press = (Object.keys(LETTERS) as Press[]).find((name) => LETTERS[name] === match?.[1]);
  return match && press ? { press, handle: match[2] as string } : null;
}
