// The Telegram part of `selfheal init`: is the token right, who is the owner, does a card arrive. A one-time
// code decides who the owner is: whoever else finds the bot first is nobody.

import { randomInt } from 'node:crypto';
import type { Api } from 'grammy';
import type { Update } from 'grammy/types';
import { Secret } from '../config/secret.ts';
import type { Clock } from '../core/clock.ts';
import { oneLine } from '../core/visible.ts';
import { bridged, failureOf, telegramApi, type TelegramAccess } from '../notifiers/shared/telegram-client.ts';
import { telegramText } from '../notifiers/shared/telegram-html.ts';

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
    if (hook.url)
      return no(
        `The bot @${me.username} belongs to another program (it has a webhook). Make a new one with BotFather.`,
      );
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

/**
 * Waits until somebody sends the code to the bot, in a private chat or in a group that it is in. Gives up when the
 * signal aborts. Must not run beside a daemon with the same token.
 */
export async function waitForOwner(
  access: TelegramAccess,
  { code, clock, signal }: { readonly code: string; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<SetupResult<OwnerFound>> {
  const api = telegramApi(access);
  let offset = 0;
  // Kept over a failure to confirm: the code comes by only once.
  let owner: OwnerFound | undefined;
  while (!signal.aborted) {
    try {
      if (!owner) {
        const options = { offset, timeout: POLL_S, allowed_updates: ['message' as const] };
        const updates = await api.getUpdates(options, bridged(signal));
        offset = (updates.at(-1)?.update_id ?? offset - 1) + 1;
        owner = updates.map((update) => ownerIn(update, code)).find((found) => found !== null) ?? undefined;
      }
      if (!owner) continue;
      await confirm(api, offset, signal);
      return { ok: true, value: owner };
    } catch (error) {
      const failure = failureOf(error, access.token);
      if (failure.code === 409 || failure.code === 401 || failure.code === 404) return no(problemOf(error, access));
      await clock.sleep(failure.retryAfterMs ?? RETRY_MS, signal);
    }
  }
  return no(owner ? 'The code came, but Telegram could not be told so. Try again.' : 'Nobody sent the code.');
}

/** Sends the first message, so that the owner sees that all is right. */
export async function sendTestCard(
  access: TelegramAccess & { readonly chat: number },
  { node, signal }: { readonly node: string; readonly signal: AbortSignal },
): Promise<SetupResult<null>> {
  const text = telegramText({
    title: `🩺 selfheal on ${node}`,
    body: 'It works: this is where I report, ask before risky fixes, and take orders.\nSend "help" for what I understand.',
  });
  try {
    await telegramApi(access).sendMessage(access.chat, text.html, { parse_mode: 'HTML' }, bridged(signal));
    return { ok: true, value: null };
  } catch (error) {
    return no(problemOf(error, access));
  }
}

/** A person of flesh who sent the code, and where. */
function ownerIn({ message }: Update, code: string): OwnerFound | null {
  if (!message?.from || message.from.is_bot || message.sender_chat || message.forward_origin) return null;
  const words = (message.text ?? '').split(/\s+/);
  if (!words.includes(code)) return null;
  return { user: message.from.id, chat: message.chat.id, name: oneLine(message.from.first_name, 60) };
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
  if (code === 409) return 'Another program polls with this token: stop it (a running selfheal?) and try again.';
  if (code === 403) return 'The bot may not write to this chat: open it in Telegram and press Start.';
  return `Telegram says: ${description}`;
}

function no(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
