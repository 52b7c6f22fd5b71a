// The owner's chat on Telegram: who may speak, and what is answered. Each update is carried out once, in
// its order; what was meant for another moment is not done.

import type { Api, Bot } from 'grammy';
import type { Message, Update } from 'grammy/types';
import type { Notification } from '../core/notification.ts';
import { oneLine } from '../core/visible.ts';
import { bridged } from '../notifiers/shared/telegram-client.ts';
import { changesSomething, GRAMMAR, parseCommand, type Answer } from './commands.ts';
import { poll } from './poll.ts';
import { Presses } from './presses.ts';
import { capital } from './render-parts.ts';
import { FORGOTTEN_MS } from './deliveries.ts';
import { Session, type TelegramChatDeps } from './session.ts';

export type { TelegramChatDeps } from './session.ts';

export interface TelegramChat {
  /** Resolves within two seconds, also in the middle of a long poll. */
  stop(): Promise<void>;
}

/** A wish older than this was meant for another moment. */
const STALE_MS = 300_000;
const STOP_MS = 1_500;

/**
 * Starts to listen; returns at once, whether the Bot API can be reached or not.
 *
 * @example const chat = await startTelegramChat({ config, operations, store, clock, log, signal });
 */
export async function startTelegramChat(deps: TelegramChatDeps): Promise<TelegramChat> {
  const stopping = new AbortController();
  const signal = AbortSignal.any([deps.signal, stopping.signal]);
  const session = new Session(deps, signal);
  const chat = new Conversation(session);
  const polling = poll(
    {
      access: deps.config,
      clock: deps.clock,
      log: deps.log,
      handle: (update, bot) => chat.take(update, bot),
      connected: (bot) => chat.connected(bot),
      contested: (why) => chat.warnOfRival(why),
    },
    signal,
  );
  return {
    stop: async () => {
      stopping.abort();
      const late = new AbortController();
      await Promise.race([Promise.all([polling, session.idle()]), deps.clock.sleep(STOP_MS, late.signal)]);
      late.abort();
    },
  };
}

class Conversation {
  readonly #s: Session;
  readonly #presses: Presses;
  #menuSet = false;
  #resumed = false;

  constructor(session: Session) {
    this.#s = session;
    this.#presses = new Presses(session);
  }

  /** The Bot API can be reached, for the first time or again. */
  async connected({ api }: Bot): Promise<void> {
    if (!this.#resumed)
      this.#s.inBackground(() => this.#s.resume(api, (asked, handle) => this.#presses.resume(asked, handle, api)));
    this.#resumed = true;
    if (!this.#menuSet) await this.#setMenu(api);
  }

  /** The commands that need no number, for the owner's chat only: strangers see no menu. */
  async #setMenu(api: Api): Promise<void> {
    const commands = MENU.map(({ name, does }) => ({ command: name, description: does }));
    const scope = { type: 'chat' as const, chat_id: this.#s.deps.config.chat };
    try {
      await api.setMyCommands(commands, { scope }, bridged(this.#s.signal));
      this.#menuSet = true;
    } catch (error) {
      this.#s.failed('the command menu could not be set', error);
    }
  }

  /** Handles one update; whatever goes wrong is logged and ends with it. */
  async take(update: Update, { api, botInfo }: Bot): Promise<void> {
    try {
      if (update.callback_query) await this.#presses.take(update.update_id, update.callback_query, api);
      else if (update.message) await this.#takeMessage(update.update_id, update.message, api, botInfo.username);
    } catch (error) {
      this.#s.failed('an update could not be handled', error);
    }
  }

  async #takeMessage(update: number, message: Message, api: Api, botName: string): Promise<void> {
    const user = await this.#speaker(message);
    if (user === null) return;
    if (message.chat.id === this.#s.deps.config.chat)
      await this.#s.memory
        .heard(message.message_id)
        .catch((error: unknown) => this.#s.failed('a message could not be noted', error));
    // Without a moment nobody knows what it was meant for.
    if (typeof message.text !== 'string' || !Number.isInteger(message.date)) return;
    const text = addressed(message.text, botName);
    if (text === null) return;
    const command = parseCommand(text);
    const isGroup = message.chat.type !== 'private';
    // Among people, what is no command was not meant for us.
    if (isGroup && command.name === 'suggestion' && !message.text.startsWith('/')) return;
    const age = this.#s.deps.clock.now() - message.date * 1_000;
    if (age > FORGOTTEN_MS && !changesSomething(command.name)) return;
    const asked = {
      update,
      user,
      command,
      text: oneLine(text, 60),
      question: message.message_id,
      place: { chat: message.chat.id, key: `answer:${update}`, ...(isGroup && { to: message.message_id }) },
      at: this.#s.deps.clock.now(),
    };
    if (age > STALE_MS && changesSomething(command.name)) await this.#s.say(asked, tooLate(asked.text, age), api);
    else await this.#s.ask(asked, api);
  }

  /** The user's id if this person may speak here, else null. Strangers get silence and the owner one notice. */
  async #speaker(message: Message): Promise<number | null> {
    const { from, chat } = message;
    // Channels, anonymous admins, bots, forwards and inline bots speak for nobody.
    if (
      !from ||
      !Number.isInteger(from.id) ||
      from.is_bot ||
      message.sender_chat ||
      message.via_bot ||
      message.forward_origin
    )
      return null;
    if (this.#s.mayUse(from.id, chat.id)) return from.id;
    if (!this.#s.deps.config.allowedUsers.includes(from.id)) await this.#reportStranger(from.id, from.first_name);
    return null;
  }

  async #reportStranger(user: number, name: string): Promise<void> {
    if (!(await this.#s.memory.reportStranger(user))) return;
    await this.#notice({
      key: `stranger:${user}:${this.#s.deps.clock.now()}`,
      reason: 'a stranger wrote to the bot: told once a day',
      title: '👤 A stranger wrote to me',
      body: `User id ${user} is not on the list and got no answer.`,
      excerpt: oneLine(name, 60),
    });
  }

  /** Commands may not reach us, but the owner can be reached: told once a day. */
  async warnOfRival(why: string): Promise<void> {
    const day = new Date(this.#s.deps.clock.now()).toISOString().slice(0, 10);
    await this.#notice({
      key: `rival:${day}`,
      reason: 'somebody else takes the commands: told once a day',
      title: '🎭 Your commands may not reach me',
      body: `${capital(why)}.\nEnd it, or give me a bot of my own ("selfheal init"). I still report here.`,
    });
  }

  async #notice(words: Pick<Notification, 'key' | 'reason' | 'title' | 'body' | 'excerpt'>): Promise<void> {
    const at = this.#s.deps.clock.now();
    const about = { incident: null, urgency: 'now', severity: null, buttons: [], plan: null } as const;
    await this.#s.deps.store
      .enqueue({ ...words, ...about, id: words.key, at }, ['telegram'], false)
      .catch((error: unknown) => this.#s.failed('a notice could not be stored', error));
  }
}

const MENU = GRAMMAR.filter(({ name }) =>
  ['health', 'errors', 'report', 'fix', 'status', 'incidents', 'history', 'pull', 'pause', 'resume', 'help'].includes(
    name,
  ),
);

function tooLate(text: string, age: number): Answer {
  const minutes = Math.round(age / 60_000);
  const lines = [
    `⌛ "${text}" was sent ${minutes} min ago, so I have not done it.`,
    'Send it again if you still want it.',
  ];
  return { lines };
}

/** The text without our own mention; null when it is addressed to another bot. */
function addressed(text: string, botName: string): string | null {
  const other = /^\/\w+@(\w+)/.exec(text);
  if (other && other[1]?.toLowerCase() !== botName.toLowerCase()) return null;
  return text.replaceAll(new RegExp(`@${botName}\\b`, 'gi'), '').trim();
}
