// Puts an answer into a chat: escaped, split or attached when it is long, with buttons on the last piece,
// and plain when the server does not like the formatting.

import { InputFile, type Api } from 'grammy';
import type { Button } from '../core/notification.ts';
import { clip } from '../core/visible.ts';
import { keyboardOf } from '../notifiers/shared/telegram-buttons.ts';
import { bridged, failureOf, withoutToken, type TelegramAccess } from '../notifiers/shared/telegram-client.ts';
import { splitText, telegramText, type TelegramText } from '../notifiers/shared/telegram-html.ts';
import type { Answer } from './commands.ts';
import type { TelegramMemory } from './memory.ts';

export interface ReplyDeps {
  readonly access: TelegramAccess;
  readonly memory: TelegramMemory;
  /** The owner's chat. */
  readonly home: number;
  readonly signal: AbortSignal;
  /** The operator's log: what went wrong without keeping the words from arriving. */
  readonly failed: (message: string, error: unknown) => void;
}

/** How many pieces of an answer have been sent, over all attempts. */
export interface Progress {
  sent: number;
  /** One more. Does not reject. */
  add(): Promise<void>;
}

export interface Place {
  readonly chat: number;
  /** Message that is answered. */
  readonly to?: number;
  /** Message of ours to turn into the answer instead of sending a new one. */
  readonly instead?: number;
  /** Names the answer: the same name gets the same button handles. */
  readonly key: string;
}

/** More pieces than this become a file. */
const PIECES = 3;
const EXCERPT_ROOM = 3_000;
/** A caption may have 1,024 characters. */
const CAPTION_ROOM = 900;

/**
 * Sends the answer and returns the id of its last message. Rejects as grammY does; what `progress` counts by then is not
 * sent again by the next attempt.
 */
export async function reply(
  api: Api,
  answer: Answer,
  place: Place,
  deps: ReplyDeps,
  progress: Progress = notKept(),
): Promise<number> {
  const clean = (text: string) => withoutToken(text, deps.access.token);
  const text = clean(answer.lines.join('\n'));
  const excerpt = answer.excerpt && clean(answer.excerpt);
  if (excerpt && text.length + excerpt.length > EXCERPT_ROOM) return sendFile(api, text, excerpt, answer, place, deps);
  const { pieces, rest } = splitText(text, PIECES);
  if (rest) return sendFile(api, pieces[0] ?? '', text, answer, place, deps);
  let last = 0;
  for (const [index, piece] of pieces.entries()) {
    if (index < progress.sent) continue;
    const final = index === pieces.length - 1;
    const part = telegramText({ body: piece, ...(final && { excerpt }) });
    const spot = index === 0 ? place : { chat: place.chat, key: place.key };
    last = await say(api, part, spot, final ? answer : null, deps);
    if (!final) await progress.add();
  }
  return last;
}

function notKept(): Progress {
  return { sent: 0, add: async () => {} };
}

async function say(
  api: Api,
  text: TelegramText,
  place: Place,
  answer: Answer | null,
  deps: ReplyDeps,
): Promise<number> {
  const handle = answer && (await handleOf(answer, place, deps));
  const keyboard = handle && keyboardOf(actionsOf(answer), handle);
  const options = {
    link_preview_options: { is_disabled: true },
    ...(keyboard && { reply_markup: keyboard }),
    ...(place.to !== undefined && { reply_parameters: { message_id: place.to, allow_sending_without_reply: true } }),
  };
  const send = async (formatted: boolean): Promise<number> => {
    const words = formatted ? text.html : text.plain;
    const said = { ...options, ...(formatted && { parse_mode: 'HTML' as const }) };
    if (place.instead === undefined)
      return (await api.sendMessage(place.chat, words, said, bridged(deps.signal))).message_id;
    try {
      await api.editMessageText(place.chat, place.instead, words, said, bridged(deps.signal));
      return place.instead;
    } catch (error) {
      const { description } = failureOf(error, deps.access.token);
      if (/message is not modified/i.test(description)) return place.instead;
      // Deleted meanwhile: the answer is owed all the same.
      if (!/message to edit not found|message can't be edited|MESSAGE_ID_INVALID/i.test(description)) throw error;
      return (await api.sendMessage(place.chat, words, said, bridged(deps.signal))).message_id;
    }
  };
  const message = await send(true).catch((error: unknown) => {
    if (!isParseError(error, deps)) throw error;
    return send(false);
  });
  await noted(message, place, handle, deps);
  return message;
}

/** Too long to read in a chat: the beginning as a caption, everything in a file. */
async function sendFile(
  api: Api,
  head: string,
  text: string,
  answer: Answer,
  place: Place,
  deps: ReplyDeps,
): Promise<number> {
  const file = new InputFile(Buffer.from(`${text}\n`), 'selfheal.txt');
  const caption = telegramText({ body: clip(head, CAPTION_ROOM) });
  const handle = await handleOf(answer, place, deps);
  const keyboard = handle && keyboardOf(actionsOf(answer), handle);
  const send = (words: Pick<Parameters<Api['sendDocument']>[2] & object, 'caption' | 'parse_mode'>) =>
    api.sendDocument(place.chat, file, { ...words, ...(keyboard && { reply_markup: keyboard }) }, bridged(deps.signal));
  const message = await send({ caption: caption.html, parse_mode: 'HTML' }).catch((error: unknown) => {
    if (!isParseError(error, deps)) throw error;
    return send({ caption: clip(caption.plain, CAPTION_ROOM) });
  });
  await noted(message.message_id, place, handle, deps);
  // A file cannot take the place of words.
  if (place.instead !== undefined)
    await api.deleteMessage(place.chat, place.instead, bridged(deps.signal)).catch(() => {});
  return message.message_id;
}

/**
 * The newest message counts in the owner's chat only: elsewhere the numbers are others. A store that cannot be written
 * is no failure here: the words have arrived, and who tried again would say them twice.
 */
async function noted(
  message: number,
  { chat }: Place,
  handle: string | null,
  { memory, home, failed }: ReplyDeps,
): Promise<void> {
  // Every note is for itself: one that fails does not keep the others from being written.
  const said = (error: unknown) => failed('an answer was sent and could not be noted', error);
  await memory.answered({ chat, message }).catch(said);
  if (chat === home) await memory.heard(message).catch(said);
  if (handle) await memory.bind(handle, message).catch(said);
}

/** Null when there are no buttons, or none can be: one stands for a record, and without a store there is none. */
async function handleOf(answer: Answer, place: Place, { memory, failed }: ReplyDeps): Promise<string | null> {
  if (!answer.about || !answer.buttons?.length) return null;
  const { incident, plan } = answer.about;
  const card = { key: place.key, chat: place.chat, incident, plan, actions: actionsOf(answer) };
  return memory.issue(card).catch((error: unknown) => {
    failed('an answer goes without its buttons: they could not be stored', error);
    return null;
  });
}

function actionsOf({ buttons = [] }: Answer): readonly Button['action'][] {
  return buttons.map((button) => button.action);
}

/** The server does not like our formatting: the words must arrive all the same. */
function isParseError(error: unknown, { access }: ReplyDeps): boolean {
  return /can't parse|parse entities/i.test(failureOf(error, access.token).description);
}
