// The owner's chat on Telegram: who may speak, what a press means, and what is answered. Each update is
// carried out once, in its order; decisions hold for the exact plan that a card has shown.

import type { Api, Bot } from 'grammy';
import type { CallbackQuery, Message, Update } from 'grammy/types';
import type { TelegramConfig } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import type { Notification } from '../core/notification.ts';
import { oneLine } from '../core/visible.ts';
import { keyboardOf, readPress, type Press } from '../notifiers/shared/telegram-buttons.ts';
import { bridged, failureOf } from '../notifiers/shared/telegram-client.ts';
import type { ActionAnswer, Operations } from '../operations.ts';
import type { Store } from '../store/contract.ts';
import {
  answer,
  changesSomething,
  GRAMMAR,
  parseCommand,
  type Answer,
  type Command,
  type Suggestion,
} from './commands.ts';
import { createTelegramMemory, type Handle, type TelegramMemory } from './memory.ts';
import { poll } from './poll.ts';
import { forPeople } from './render.ts';
import { reply, type Place } from './reply.ts';

export interface TelegramChatDeps {
  readonly config: TelegramConfig;
  readonly operations: Operations;
  readonly store: Pick<Store, 'value' | 'setValue' | 'swapValue' | 'enqueue'>;
  readonly clock: Clock;
  /** The operator's log: a fixed sentence and fields, no secrets. */
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly signal: AbortSignal;
}

export interface TelegramChat {
  /** Resolves within two seconds, also in the middle of a long poll. */
  stop(): Promise<void>;
}

/** A wish older than this was meant for another moment. */
const STALE_MS = 300_000;
/** Questions older than this are not answered any more. */
const FORGOTTEN_MS = 3_600_000;
/** What takes longer goes on in the background, and the person is told so. */
const PATIENCE_MS = 2_500;
const STOP_MS = 1_500;
const SILENCE_MS = 2 * 3_600_000;

/**
 * Starts to listen; returns at once, whether the Bot API can be reached or not.
 *
 * @example const chat = await startTelegramChat({ config, operations, store, clock, log, signal });
 */
export async function startTelegramChat(deps: TelegramChatDeps): Promise<TelegramChat> {
  const stopping = new AbortController();
  const signal = AbortSignal.any([deps.signal, stopping.signal]);
  const chat = new Conversation(deps, signal);
  const polling = poll(
    {
      access: deps.config,
      clock: deps.clock,
      log: deps.log,
      handle: (update, bot) => chat.take(update, bot),
      connected: (bot) => chat.setMenu(bot),
      contested: (why) => chat.warnOfRival(why),
    },
    signal,
  );
  return {
    stop: async () => {
      stopping.abort();
      const late = new AbortController();
      await Promise.race([Promise.all([polling, chat.idle()]), deps.clock.sleep(STOP_MS, late.signal)]);
      late.abort();
    },
  };
}

class Conversation {
  readonly #d: TelegramChatDeps;
  readonly #signal: AbortSignal;
  readonly #memory: TelegramMemory;
  readonly #background = new Set<Promise<void>>();
  #menuSet = false;

  constructor(deps: TelegramChatDeps, signal: AbortSignal) {
    this.#d = deps;
    this.#signal = signal;
    this.#memory = createTelegramMemory(deps.store, deps.clock);
  }

  /** Resolves when nothing is under way in the background. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#background]);
  }

  /** The commands that need no number, for the owner's chat only: strangers see no menu. */
  async setMenu({ api }: Bot): Promise<void> {
    if (this.#menuSet) return;
    const commands = MENU.map(({ name, does }) => ({ command: name, description: does }));
    const scope = { type: 'chat' as const, chat_id: this.#d.config.chat };
    try {
      await api.setMyCommands(commands, { scope }, bridged(this.#signal));
      this.#menuSet = true;
    } catch (error) {
      this.#failed('the command menu could not be set', error);
    }
  }

  /** Handles one update; whatever goes wrong is logged and ends with it. */
  async take(update: Update, { api, botInfo }: Bot): Promise<void> {
    try {
      if (update.callback_query) await this.#takePress(update.update_id, update.callback_query, api);
      // Marked before it is carried out: what a crash interrupts is not done twice, and people ask again.
      else if (update.message && (await this.#memory.takeUpdate(update.update_id)))
        await this.#takeMessage(update.update_id, update.message, api, botInfo.username);
    } catch (error) {
      this.#failed('an update could not be handled', error);
    }
  }

  // ---------------------------------------------------------------- words

  async #takeMessage(update: number, message: Message, api: Api, botName: string): Promise<void> {
    const user = await this.#speaker(message);
    if (user === null) return;
    if (message.chat.id === this.#d.config.chat) await this.#memory.heard(message.message_id);
    if (message.text === undefined) return;
    const text = addressed(message.text, botName);
    if (text === null) return;
    const command = parseCommand(text);
    const isGroup = message.chat.type !== 'private';
    // Among people, what is no command was not meant for us.
    if (isGroup && command.name === 'suggestion' && !message.text.startsWith('/')) return;
    const age = this.#d.clock.now() - message.date * 1_000;
    if (age > FORGOTTEN_MS && !changesSomething(command.name)) return;
    const place = { chat: message.chat.id, key: `answer:${update}`, ...(isGroup && { to: message.message_id }) };
    if (age > STALE_MS && changesSomething(command.name)) {
      const minutes = Math.round(age / 60_000);
      const lines = [
        `⌛ "${oneLine(text, 60)}" was sent ${minutes} min ago, so I have not done it.`,
        'Send it again if you still want it.',
      ];
      await this.#reply(api, { lines }, place);
      return;
    }
    await this.#carryOut(command, user, place, api);
  }

  /** The user's id if this person may speak here, else null. Strangers get silence and the owner one notice. */
  async #speaker(message: Message): Promise<number | null> {
    const { from, chat } = message;
    // Channels, anonymous admins, bots, forwards and inline bots speak for nobody.
    if (!from || from.is_bot || message.sender_chat || message.via_bot || message.forward_origin) return null;
    if (this.#mayUse(from.id, chat.id)) return from.id;
    if (!this.#d.config.allowedUsers.includes(from.id)) await this.#reportStranger(from.id, from.first_name);
    return null;
  }

  /** On the list of users *and* in the owner's chat, or in one's own private chat. */
  #mayUse(user: number, chat: number): boolean {
    const { allowedUsers, chat: home } = this.#d.config;
    return allowedUsers.includes(user) && (chat === home || chat === user);
  }

  async #reportStranger(user: number, name: string): Promise<void> {
    if (!(await this.#memory.reportStranger(user))) return;
    await this.#notice({
      key: `stranger:${user}:${this.#d.clock.now()}`,
      reason: 'a stranger wrote to the bot: told once a day',
      title: '👤 A stranger wrote to me',
      body: `User id ${user} is not on the list and got no answer.`,
      excerpt: oneLine(name, 60),
    });
  }

  /** Commands may not reach us, but the owner can be reached: told once a day. */
  async warnOfRival(why: string): Promise<void> {
    const day = new Date(this.#d.clock.now()).toISOString().slice(0, 10);
    await this.#notice({
      key: `rival:${day}`,
      reason: 'somebody else takes the commands: told once a day',
      title: '🎭 Your commands may not reach me',
      body: `${capital(why)}.\nEnd it, or give me a bot of my own ("selfheal init"). I still report here.`,
    });
  }

  async #notice(words: Pick<Notification, 'key' | 'reason' | 'title' | 'body' | 'excerpt'>): Promise<void> {
    const at = this.#d.clock.now();
    const about = { incident: null, urgency: 'now', severity: null, buttons: [], plan: null } as const;
    await this.#d.store
      .enqueue({ ...words, ...about, id: words.key, at }, ['telegram'], false)
      .catch((error: unknown) => this.#failed('a notice could not be stored', error));
  }

  /** Answers at once, or says that it takes a while and answers later. */
  async #carryOut(command: Command | Suggestion, user: number, place: Place, api: Api): Promise<void> {
    const { operations, clock } = this.#d;
    const work = answer(command, operations, personOf(user), { now: clock.now(), signal: this.#signal }).catch(
      (error: unknown) => this.#broken(error),
    );
    const soon = await this.#withinPatience(work);
    if (soon) {
      await this.#reply(api, soon, place);
      return;
    }
    const waiting = await this.#reply(
      api,
      { lines: ['⏳ Working on it…'] },
      { chat: place.chat, key: `${place.key}:wait` },
    );
    this.#inBackground(async () => {
      await this.#reply(api, await work, waiting === null ? place : { ...place, instead: waiting });
    });
  }

  #broken(error: unknown): Answer {
    this.#failed('a command could not be carried out', error);
    return {
      lines: ['❌ That did not work: my memory (the store) cannot be reached just now. Try again in a minute.'],
    };
  }

  // ---------------------------------------------------------------- buttons

  async #takePress(update: number, query: CallbackQuery, api: Api): Promise<void> {
    const message = query.message;
    const chat = message?.chat.id;
    // Silence for strangers here too: not even the spinner ends.
    if (!message || chat === undefined || query.from.is_bot || !this.#mayUse(query.from.id, chat)) return;
    const read = query.data === undefined ? null : readPress(query.data);
    const record = read && (await this.#memory.handle(read.handle));
    const refused =
      read && record ? this.#refusal(read.press, record, chat, message.message_id) : 'This button is not valid.';
    if (!read || !record || refused !== null) {
      await this.#acknowledge(api, query.id, refused ?? '', true);
      if (read?.press === 'rollback-sure' && record && !record.used && isFor(record, message))
        await this.#setButtons(api, { chat, message: message.message_id }, record.actions, read.handle);
      else if (record && refused !== null && isDecision(read?.press))
        await this.#dropButtons(api, chat, message.message_id);
      return;
    }
    // A decision on a plan counts once by itself, so that one which a crash interrupts is made after it. All else is
    // marked before it is carried out.
    const once = read.press === 'approve' || read.press === 'deny';
    if (!once && !(await this.#memory.takeUpdate(update))) return;
    await this.#carryOutPress(read.press, read.handle, record, query, { chat, message: message.message_id }, api);
  }

  /** Why this press must not count; null when it may. */
  #refusal(press: Press, record: Handle, chat: number, message: number): string | null {
    const action = press === 'rollback-sure' || press === 'leave' ? 'rollback' : press;
    if (!isFor(record, { chat: { id: chat }, message_id: message }) || !record.actions.includes(action))
      return 'This button is not valid.';
    if (!isDecision(press)) return null;
    if (record.used) return `Already decided: ${record.used.action} by user ${record.used.by}.`;
    if (press === 'rollback-sure')
      return this.#d.clock.now() - (record.askedAt ?? 0) > STALE_MS
        ? 'I asked too long ago. Press "Roll back" again if you still want it.'
        : null;
    if (record.plan === null) return 'This card has no plan to decide on.';
    if (record.plan.expiresAt <= this.#d.clock.now())
      return `Too late: this plan has expired. Send "plan ${record.incident}" for a new one.`;
    return null;
  }

  async #carryOutPress(
    press: Press,
    handle: string,
    record: Handle,
    query: CallbackQuery,
    at: { readonly chat: number; readonly message: number },
    api: Api,
  ): Promise<void> {
    const { operations } = this.#d;
    const person = personOf(query.from.id);
    const { incident, plan } = record;
    switch (press) {
      case 'approve':
      case 'deny':
        return this.#decide(press, () => operations[press](incident, person, plan?.hash), handle, query, at, api);
      case 'rollback-sure':
        return this.#decide('rollback', () => operations.rollback(incident, person), handle, query, at, api);
      case 'silence': {
        const done = await operations.silence(incident, SILENCE_MS, person);
        return this.#acknowledge(api, query.id, sayDone(done), !done.ok);
      }
      case 'details':
        await this.#acknowledge(api, query.id, '', false);
        return this.#carryOut(
          { name: plan ? 'plan' : 'incident', id: incident },
          query.from.id,
          { chat: at.chat, key: `details:${query.id}`, to: at.message },
          api,
        );
      case 'rollback':
        await this.#memory.askSure(handle);
        await this.#acknowledge(api, query.id, `Roll back incident ${incident}?`, false);
        return this.#setButtons(api, at, ['rollback-sure', 'leave'], handle);
      case 'leave':
        await this.#acknowledge(api, query.id, 'Left as it is.', false);
        return this.#setButtons(api, at, record.actions, handle);
    }
  }

  /** Decide, then acknowledge, then change the card: a crash in between leaves the decision, never a lie. */
  async #decide(
    action: 'approve' | 'deny' | 'rollback',
    act: () => Promise<ActionAnswer>,
    handle: string,
    query: CallbackQuery,
    at: { readonly chat: number; readonly message: number },
    api: Api,
  ): Promise<void> {
    const failed = (error: unknown): ActionAnswer => {
      this.#failed('a decision could not be stored', error);
      return { ok: false, message: 'my memory cannot be reached just now; press again in a minute', incident: null };
    };
    const work = act().catch(failed);
    const soon = await this.#withinPatience(work);
    const finish = async (done: ActionAnswer): Promise<void> => {
      if (done.ok) await this.#memory.use(handle, { by: query.from.id, action, at: this.#d.clock.now() });
      if (done.ok || soon) await this.#dropButtonsIf(done, api, at);
    };
    await this.#acknowledge(api, query.id, soon ? sayDone(soon) : '⏳ Working on it…', soon !== null && !soon.ok);
    if (soon) return finish(soon);
    this.#inBackground(async () => {
      const done = await work;
      await finish(done);
      await this.#reply(api, { lines: [sayDone(done)] }, { chat: at.chat, key: `decided:${query.id}`, to: at.message });
    });
  }

  async #dropButtonsIf(
    done: ActionAnswer,
    api: Api,
    at: { readonly chat: number; readonly message: number },
  ): Promise<void> {
    if (done.ok || /already|expired|changed|does not wait/i.test(done.message))
      await this.#dropButtons(api, at.chat, at.message);
  }

  /** Ends the spinner. A query that is too old cannot be answered any more; the decision stands all the same. */
  async #acknowledge(api: Api, id: string, text: string, alert: boolean): Promise<void> {
    try {
      await api.answerCallbackQuery(id, { text: oneLine(text, 190), show_alert: alert }, bridged(this.#signal));
    } catch (error) {
      this.#failed('a press could not be acknowledged', error);
    }
  }

  async #dropButtons(api: Api, chat: number, message: number): Promise<void> {
    await api.editMessageReplyMarkup(chat, message, {}, bridged(this.#signal)).catch(() => {
      // It has none any more, or the card was edited meanwhile.
    });
  }

  async #setButtons(
    api: Api,
    at: { readonly chat: number; readonly message: number },
    presses: readonly Press[],
    handle: string,
  ): Promise<void> {
    const reply_markup = keyboardOf(presses, handle);
    await api
      .editMessageReplyMarkup(at.chat, at.message, { reply_markup }, bridged(this.#signal))
      .catch((error: unknown) => {
        this.#failed('buttons could not be changed', error);
      });
  }

  // ---------------------------------------------------------------- small things

  async #reply(api: Api, said: Answer, place: Place): Promise<number | null> {
    try {
      return await reply(api, said, place, { access: this.#d.config, memory: this.#memory, signal: this.#signal });
    } catch (error) {
      this.#failed('an answer could not be sent', error);
      return null;
    }
  }

  /** The result if it comes soon, else null. */
  async #withinPatience<T>(work: Promise<T>): Promise<T | null> {
    const late = new AbortController();
    const result = await Promise.race([work, this.#d.clock.sleep(PATIENCE_MS, late.signal).then(() => null)]);
    late.abort();
    return result;
  }

  #inBackground(work: () => Promise<void>): void {
    const task = work()
      .catch((error: unknown) => this.#failed('an answer could not be sent', error))
      .finally(() => this.#background.delete(task));
    this.#background.add(task);
  }

  #failed(message: string, error: unknown): void {
    if (this.#signal.aborted) return;
    const store = error instanceof Error && error.name === 'StoreError' ? error.message : null;
    this.#d.log(message, { error: store ?? failureOf(error, this.#d.config.token).description });
  }
}

const MENU = GRAMMAR.filter(({ name }) =>
  ['health', 'errors', 'report', 'fix', 'status', 'incidents', 'history', 'pull', 'pause', 'resume', 'help'].includes(
    name,
  ),
);

function personOf(user: number): string {
  return `telegram:${user}`;
}

/** Handles hold for the message that they were issued for, and for no other. */
function isFor(
  record: Handle,
  message: { readonly chat: { readonly id: number }; readonly message_id: number },
): boolean {
  return record.chat === message.chat.id && (record.message === null || record.message === message.message_id);
}

function isDecision(press: Press | undefined): boolean {
  return press === 'approve' || press === 'deny' || press === 'rollback-sure';
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function sayDone(done: ActionAnswer): string {
  return `${done.ok ? '✅' : '❌'} ${capital(forPeople(done.message))}`;
}

/** The text without our own mention; null when it is addressed to another bot. */
function addressed(text: string, botName: string): string | null {
  const other = /^\/\w+@(\w+)/.exec(text);
  if (other && other[1]?.toLowerCase() !== botName.toLowerCase()) return null;
  return text.replaceAll(new RegExp(`@${botName}\\b`, 'gi'), '').trim();
}
