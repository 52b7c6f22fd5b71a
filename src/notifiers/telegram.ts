// Telegram: one message per card, edited in place, with buttons that carry nothing but a handle. Decides for
// each answer of the Bot API whether it is delivered, to be tried again, or refused for good.

import type { Api, InlineKeyboard } from 'grammy';
import type { TelegramConfig } from '../config/contract.ts';
import type { Button, Notification } from '../core/notification.ts';
import type { Delivery, Notifier } from './contract.ts';
import { keyboardOf } from './shared/telegram-buttons.ts';
import { bridged, failureOf, telegramApi, withoutToken, type TelegramFailure } from './shared/telegram-client.ts';
import { telegramText, type TelegramText } from './shared/telegram-html.ts';

/** What must outlive the process for buttons to be safe: kept by the chat. */
export interface TelegramMemory {
  /** The handle of this card: 128 random-looking bits, the same for each edit of it. */
  issue(card: {
    readonly key: string;
    readonly chat: number;
    readonly incident: string;
    readonly plan: Notification['plan'];
    readonly actions: readonly Button['action'][];
  }): Promise<string>;
  /** From now on the handle is valid on this message only. */
  bind(handle: string, message: number): Promise<void>;
  /** Messages of ours in a chat that are no notifications: answers to commands. */
  answers(chat: number): Promise<readonly number[]>;
  /** The newest message known in the chat, whoever wrote it; null before the first. */
  newest(): Promise<number | null>;
}

/** Wrong token, blocked bot, unknown chat: a person must act; look again this often, lose nothing. */
const LOCKED_OUT_MS = 300_000;
/**
 * Ids looked at when it is unclear whether a message arrived, and misses in a row that end the search: a private chat
 * shares its numbers with all private chats of the bot, so what strangers write leaves gaps.
 */
const LOOK_AT_MOST = 20;
const LOOK_MISSES = 6;

/**
 * @param config token, chat and API root.
 * @param memory handles of buttons; without it cards have no buttons.
 * @example const notifier = createTelegramNotifier(config.telegram, createTelegramMemory(store, clock));
 */
export function createTelegramNotifier(config: TelegramConfig, memory?: TelegramMemory): Notifier {
  return new TelegramNotifier(config, memory ?? null);
}

interface Content {
  readonly text: TelegramText;
  readonly keyboard: InlineKeyboard | undefined;
  readonly handle: string | null;
  readonly silent: boolean;
  /** It must be heard: an edit, which makes no sound, does not do. */
  readonly rings: boolean;
}

class TelegramNotifier implements Notifier {
  readonly name = 'telegram';
  readonly edits = true;
  readonly #config: TelegramConfig;
  readonly #memory: TelegramMemory | null;
  readonly #api: Api;
  /** Messages that a search has turned into one that must be heard, and that could not be deleted yet. */
  readonly #unheard = new Set<number>();

  constructor(config: TelegramConfig, memory: TelegramMemory | null) {
    this.#config = config;
    this.#memory = memory;
    this.#api = telegramApi(config);
  }

  async newest(): Promise<string | null> {
    const newest = await this.#memory?.newest();
    return newest === undefined || newest === null ? null : String(newest);
  }

  async send(
    notification: Notification,
    { replaces, signal, doubtful }: Parameters<Notifier['send']>[1],
  ): Promise<Delivery> {
    const content = await this.#content(notification);
    if (replaces !== null) {
      const edited = await this.#edit(Number(replaces), content, signal);
      if (edited === 'gone') return this.#gone(notification, content, signal);
      return edited === 'same' ? this.#sent(Number(replaces), content) : edited;
    }
    const found = doubtful?.after ? await this.#look(Number(doubtful.after), content, signal) : null;
    return found ?? this.#send(content, signal);
  }

  async #content(notification: Notification): Promise<Content> {
    const { title, body, excerpt } = notification;
    const clean = (text: string) => withoutToken(text, this.#config.token);
    const text = telegramText({ title: clean(title), body: clean(body), excerpt: excerpt && clean(excerpt) });
    const handle = await this.#handle(notification);
    return {
      text,
      handle,
      keyboard:
        handle === null
          ? undefined
          : keyboardOf(
              notification.buttons.map((b) => b.action),
              handle,
            ),
      silent: notification.silent ?? false,
      rings: notification.severity === 'critical' && !notification.silent,
    };
  }

  async #handle({ key, incident, plan, buttons }: Notification): Promise<string | null> {
    if (!this.#memory || incident === null || buttons.length === 0) return null;
    const actions = buttons.map((button) => button.action);
    return this.#memory.issue({ key, chat: this.#config.chat, incident, plan, actions });
  }

  async #send(content: Content, signal: AbortSignal, formatted = true): Promise<Delivery> {
    try {
      const message = await this.#api.sendMessage(
        this.#config.chat,
        formatted ? content.text.html : content.text.plain,
        { ...this.#options(content, formatted), disable_notification: content.silent },
        bridged(signal),
      );
      return this.#sent(message.message_id, content);
    } catch (error) {
      const failure = failureOf(error, this.#config.token);
      if (formatted && isParseError(failure)) return this.#send(content, signal, false);
      return deliveryOf(failure);
    }
  }

  /** `gone`: there is no such message (any more). `same`: it says this already. */
  async #edit(
    message: number,
    content: Content,
    signal: AbortSignal,
    formatted = true,
  ): Promise<Delivery | 'gone' | 'same'> {
    try {
      await this.#api.editMessageText(
        this.#config.chat,
        message,
        formatted ? content.text.html : content.text.plain,
        this.#options(content, formatted),
        bridged(signal),
      );
      return this.#sent(message, content);
    } catch (error) {
      const failure = failureOf(error, this.#config.token);
      if (formatted && isParseError(failure)) return this.#edit(message, content, signal, false);
      if (/message is not modified/i.test(failure.description)) return 'same';
      if (/message to edit not found|message can't be edited|MESSAGE_ID_INVALID/i.test(failure.description))
        return 'gone';
      return deliveryOf(failure);
    }
  }

  /** A person has deleted the message: a change that only edits has nothing to say any more. */
  #gone(notification: Notification, content: Content, signal: AbortSignal): Promise<Delivery> | Delivery {
    if ((notification.manner ?? 'news') === 'news') return this.#send(content, signal);
    return { kind: 'rejected', error: 'the message to edit was deleted' };
  }

  /**
   * Did it arrive? Message ids in a chat grow one by one, and editing a message to what it says already is answered
   * with "not modified": so the ids after the newest known one are asked in turn. Null: it did not, or nobody can tell.
   */
  async #look(after: number, content: Content, signal: AbortSignal): Promise<Delivery | null> {
    const answers = new Set((await this.#memory?.answers(this.#config.chat)) ?? []);
    let misses = 0;
    for (let id = after + 1; id <= after + LOOK_AT_MOST && misses < LOOK_MISSES; id++) {
      if (answers.has(id)) continue;
      const edited = await this.#edit(id, content, signal);
      if (edited === 'gone') misses++;
      else if (content.rings && (edited === 'same' ? this.#unheard.has(id) : edited.kind === 'sent'))
        return this.#sayAloud(id, content, signal);
      else if (edited === 'same') return this.#sent(id, content);
      else if (edited.kind !== 'rejected') return edited.kind === 'retry' ? { ...edited, doubtful: true } : edited;
    }
    return null;
  }

  /** What stood there said something else, so nobody has heard this: it goes, and a message of its own comes. */
  async #sayAloud(message: number, content: Content, signal: AbortSignal): Promise<Delivery> {
    this.#unheard.add(message);
    try {
      await this.#api.deleteMessage(this.#config.chat, message, bridged(signal));
    } catch (error) {
      const delivery = deliveryOf(failureOf(error, this.#config.token));
      if (delivery.kind === 'retry') return { ...delivery, doubtful: true };
    }
    this.#unheard.delete(message);
    return this.#send(content, signal);
  }

  async #sent(message: number, { handle }: Content): Promise<Delivery> {
    if (handle !== null) await this.#memory?.bind(handle, message);
    return { kind: 'sent', externalId: String(message) };
  }

  #options({ keyboard }: Content, formatted: boolean) {
    return {
      ...(formatted && { parse_mode: 'HTML' as const }),
      link_preview_options: { is_disabled: true },
      ...(keyboard && { reply_markup: keyboard }),
    };
  }
}

function isParseError({ kind, description }: TelegramFailure): boolean {
  return kind === 'refused' && /can't parse|parse entities/i.test(description);
}

/** The protocol's answer in the outbox's terms. */
function deliveryOf(failure: TelegramFailure): Delivery {
  const { kind, code, description, retryAfterMs } = failure;
  const error = code > 0 ? `Telegram ${code}: ${description}` : `Telegram: ${description}`;
  if (kind === 'silent' || code >= 500)
    return { kind: 'retry', afterMs: null, error, doubtful: failure.mayHaveArrived };
  if (code === 429) return { kind: 'retry', afterMs: retryAfterMs ?? 30_000, error };
  if (failure.migratedTo !== null)
    return {
      kind: 'retry',
      afterMs: LOCKED_OUT_MS,
      error: `${error}; set telegram.chat to ${failure.migratedTo} if you trust that`,
    };
  const lockedOut = code === 401 || code === 403 || code === 404 || /chat not found/i.test(description);
  return lockedOut ? { kind: 'retry', afterMs: LOCKED_OUT_MS, error } : { kind: 'rejected', error };
}
