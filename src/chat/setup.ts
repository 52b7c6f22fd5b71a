// The Telegram part of `selfheal init`: is the token right, who is the owner, does a card arrive. A one-time
// code decides who the owner is: whoever else finds the bot first is nobody.

import { randomInt } from 'node:crypto';
import type { Api } from 'grammy';
import type { ChatMemberUpdated, Message, Update } from 'grammy/types';
import { Secret } from '../config/secret.ts';
import type { Clock } from '../core/clock.ts';
import { oneLine } from '../core/visible.ts';
import { bridged, failureOf, telegramApi, type TelegramAccess } from '../notifiers/shared/telegram-client.ts';
import { telegramText } from '../notifiers/shared/telegram-html.ts';

const TAKEN = 'The bot belongs to another program (it has a webhook). Make a new one with BotFather.';
const GUESSED =
  'Somebody sends one wrong code after the other, so nobody was let in. Try again with a new code, or with a new bot.';
const IN_GROUP = 'In this group I see what begins with a slash: send /help for what I understand.';

/** Either a value, or what is wrong and what to do about it. */
export type SetupResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string };

export interface BotFound {
  readonly name: string;
  readonly token: Secret;
}

export interface OwnerFound {
  /** For `telegram.allowed_users`. */
  readonly user: number;
  /** For `telegram.chat`; negative for a group. */
  readonly chat: number;
  /** First name, made safe to print. */
  readonly name: string;
}

export const TELEGRAM_ROOT = 'https://api.telegram.org';
const POLL_S = 10;
const RETRY_MS = 2_000;
/** One may come from the end of a poll that was broken off a moment ago, two by chance; more are a second program. */
const CONFLICTS = 3;
/** Six digits are not guessed in so many tries. */
const WRONG_CODES = 20;
/** People who are mentioned; more are a crowd. */
const MENTIONED = 3;

/**
 * Asks the Bot API whether a token from BotFather works and can be polled with.
 *
 * @param text as pasted by a person; spaces around it do not matter.
 * @example const bot = await checkToken('123456:AA…', { apiRoot: TELEGRAM_ROOT, signal });
 */
export async function checkToken(
  text: string,
  { apiRoot = TELEGRAM_ROOT, signal }: { readonly apiRoot?: string; readonly signal: AbortSignal },
): Promise<SetupResult<BotFound>> {
  const token = new Secret(text.trim());
  if (!/^\d{1,20}:[\w-]{20,}$/.test(token.reveal()))
    return no('That is not a bot token: BotFather gives one like 123456789:AAE… (send him /newbot or /token).');
  const access = { token, apiRoot };
  try {
    const api = telegramApi(access);
    const me = await api.getMe(bridged(signal));
    const hook = await api.getWebhookInfo(bridged(signal));
    if (hook.url) return no(TAKEN);
    return { ok: true, value: { name: me.username, token } };
  } catch (error) {
    return no(problemOf(error, access));
  }
}

/** Six digits that the owner sends to the bot. */
export function newCode(): string {
  return String(randomInt(0, 1_000_000)).padStart(6, '0');
}

/** Opens a chat with the bot; pressing Start there sends the code. */
export function startLink(bot: string, code: string): string {
  return `https://t.me/${bot}?start=${code}`;
}

export interface Waiting {
  readonly code: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** What happens meanwhile, in sentences for the person who waits. */
  readonly heard?: (sentence: string) => void;
}

/**
 * Waits until somebody sends the code to the bot, in a private chat or in a group that it is in. Gives up when the
 * signal aborts, when another program takes the messages, or when somebody guesses. Must not run beside a daemon with
 * the same token.
 */
export async function waitForOwner(access: TelegramAccess, waiting: Waiting): Promise<SetupResult<OwnerFound>> {
  const { clock, signal, heard } = waiting;
  const api = telegramApi(access);
  const door = new Door(waiting);
  let conflicts = 0;
  while (!signal.aborted) {
    try {
      if (!door.owner) {
        const options = { offset: door.offset, timeout: POLL_S, allowed_updates: ASKED_FOR };
        door.take(await api.getUpdates(options, bridged(signal)));
      }
      if (!door.owner && door.wrong >= WRONG_CODES) return no(GUESSED);
      if (!door.owner) continue;
      await confirm(api, door.offset, signal);
      return { ok: true, value: door.owner };
    } catch (error) {
      if (signal.aborted) break;
      const { code, description, retryAfterMs } = failureOf(error, access.token);
      const isRival = code === 409 && !/webhook/i.test(description);
      if (isRival && ++conflicts < CONFLICTS)
        heard?.('Another program asked for the messages of this bot; trying again.');
      else if ([401, 404, 409].includes(code)) return no(problemOf(error, access));
      await clock.sleep(retryAfterMs ?? RETRY_MS, signal);
    }
  }
  return no(door.owner ? 'The code came, but Telegram could not be told so. Try again.' : nobody(door.mentioned));
}

const ASKED_FOR = ['message', 'my_chat_member'] as const;

/** Who comes by while the owner is waited for. Others change nothing, but the person at the terminal hears of them. */
class Door {
  readonly #waiting: Waiting;
  readonly #seen = new Set<number>();
  offset = 0;
  /** Kept over a failure to confirm: the code comes by only once. */
  owner: OwnerFound | null = null;
  wrong = 0;

  constructor(waiting: Waiting) {
    this.#waiting = waiting;
  }

  get mentioned(): number {
    return this.#seen.size;
  }

  take(updates: readonly Update[]): void {
    this.offset = (updates.at(-1)?.update_id ?? this.offset - 1) + 1;
    for (const { message, my_chat_member: membership } of updates) {
      if (membership) this.#joined(membership);
      if (message && !this.owner && this.wrong < WRONG_CODES) this.#heard(message);
    }
  }

  #heard(message: Message): void {
    // Channels, anonymous admins, bots and forwards speak for nobody.
    if (!message.from || message.from.is_bot || message.sender_chat || message.via_bot || message.forward_origin)
      return;
    const { id, first_name } = message.from;
    const name = oneLine(first_name, 60);
    const said = codeIn(message.text ?? '');
    if (said === this.#waiting.code) {
      this.owner = { user: id, chat: message.chat.id, name };
      return;
    }
    if (said !== null) this.wrong++;
    if (this.#seen.has(id) || this.#seen.size >= MENTIONED) return;
    this.#seen.add(id);
    const what = said === null ? 'wrote to the bot, but not the code' : 'sent the bot a wrong code';
    this.#waiting.heard?.(
      `${name} (user ${id}) ${what}: nothing is done about it. Still waiting for ${this.#waiting.code}.`,
    );
  }

  /** In a group a bot sees only what begins with a slash, unless BotFather was told otherwise. */
  #joined({ chat, new_chat_member: me }: ChatMemberUpdated): void {
    if (chat.type === 'private' || !('user' in me) || !['member', 'administrator'].includes(me.status)) return;
    const group = oneLine(chat.title ?? 'the group', 60);
    const bot = me.user.username ?? 'the_bot';
    this.#waiting.heard?.(
      `The bot is in "${group}" now. Send "/start@${bot} ${this.#waiting.code}" there: words without a slash do not reach it.`,
    );
  }
}

/** The six digits of `/start 123456`, `/start@a_bot 123456`, `/123456@a_bot`, `@a_bot 123 456`; null for anything else. */
function codeIn(text: string): string | null {
  const [, first, second] = CODE.exec(text.trim()) ?? [];
  return first === undefined ? null : `${first}${second}`;
}

const CODE = /^\/?(?:start)?(?:@\w{1,64})?[\s_:]*(\d{3})[ -]?(\d{3})(?:@\w{1,64})?[.!]?$/i;

function nobody(mentioned: number): string {
  return mentioned > 0 ? 'Others wrote to the bot, but nobody sent the code.' : 'Nobody sent the code.';
}

/** Sends the first message, so that the owner sees that all is right. */
export async function sendTestCard(
  access: TelegramAccess & { readonly chat: number },
  { node, signal }: { readonly node: string; readonly signal: AbortSignal },
): Promise<SetupResult<null>> {
  const text = telegramText({
    title: `🩺 selfheal on ${node}`,
    body: `It works: this is where I report, ask before risky fixes, and take orders.\n${access.chat < 0 ? IN_GROUP : 'Send "help" for what I understand.'}`,
  });
  try {
    await telegramApi(access).sendMessage(access.chat, text.html, { parse_mode: 'HTML' }, bridged(signal));
    return { ok: true, value: null };
  } catch (error) {
    return no(problemOf(error, access));
  }
}

/** The code is used up: the daemon must not see it as a command. */
async function confirm(api: Api, offset: number, signal: AbortSignal): Promise<void> {
  await api.getUpdates({ offset, timeout: 0, limit: 1 }, bridged(signal));
}

function problemOf(error: unknown, { token }: TelegramAccess): string {
  const { kind, code, description } = failureOf(error, token);
  if (kind === 'silent')
    return `Telegram cannot be reached: ${description}. Is there a network, or a proxy in the way?`;
  if (code === 401 || code === 404) return 'Telegram does not know this token. Ask BotFather for it again (/token).';
  if (code === 409 && /webhook/i.test(description)) return TAKEN;
  if (code === 409) return 'Another program polls with this token: stop it (a running selfheal?) and try again.';
  if (code === 403) return 'The bot may not write to this chat: open it in Telegram and press Start.';
  return `Telegram says: ${description}`;
}

function no(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
