// What the words and the buttons of the chat have in common: answers are sent, long errands go on in the
// background, and whatever goes wrong is logged without a secret.

import type { Api } from 'grammy';
import type { TelegramConfig } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import { failureOf } from '../notifiers/shared/telegram-client.ts';
import type { Operations } from '../operations.ts';
import type { Store } from '../store/contract.ts';
import { answer, type Answer, type Command, type Suggestion } from './commands.ts';
import { createTelegramMemory, type TelegramMemory } from './memory.ts';
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

/** What takes longer goes on in the background, and the person is told so. */
const PATIENCE_MS = 2_500;

export class Session {
  readonly deps: TelegramChatDeps;
  readonly signal: AbortSignal;
  readonly memory: TelegramMemory;
  readonly #background = new Set<Promise<void>>();

  constructor(deps: TelegramChatDeps, signal: AbortSignal) {
    this.deps = deps;
    this.signal = signal;
    this.memory = createTelegramMemory(deps.store, deps.clock);
  }

  /** Resolves when nothing is under way in the background. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#background]);
  }

  /** On the list of users *and* in the owner's chat, or in one's own private chat. */
  mayUse(user: number, chat: number): boolean {
    const { allowedUsers, chat: home } = this.deps.config;
    return allowedUsers.includes(user) && (chat === home || chat === user);
  }

  /** Answers at once, or says that it takes a while and answers later. */
  async carryOut(command: Command | Suggestion, user: number, place: Place, api: Api): Promise<void> {
    const { operations, clock } = this.deps;
    const work = answer(command, operations, personOf(user), { now: clock.now(), signal: this.signal }).catch(
      (error: unknown) => this.#broken(error),
    );
    const soon = await this.withinPatience(work);
    if (soon) {
      await this.reply(api, soon, place);
      return;
    }
    const waiting = await this.reply(
      api,
      { lines: ['⏳ Working on it…'] },
      { chat: place.chat, key: `${place.key}:wait` },
    );
    this.inBackground(async () => {
      await this.reply(api, await work, waiting === null ? place : { ...place, instead: waiting });
    });
  }

  #broken(error: unknown): Answer {
    this.failed('a command could not be carried out', error);
    return {
      lines: ['❌ That did not work: my memory (the store) cannot be reached just now. Try again in a minute.'],
    };
  }

  /** Sends an answer and returns the id of its message; null when that was not possible, which is logged. */
  async reply(api: Api, said: Answer, place: Place): Promise<number | null> {
    try {
      return await reply(api, said, place, { access: this.deps.config, memory: this.memory, signal: this.signal });
    } catch (error) {
      this.failed('an answer could not be sent', error);
      return null;
    }
  }

  /** The result if it comes soon, else null. */
  async withinPatience<T>(work: Promise<T>): Promise<T | null> {
    const late = new AbortController();
    const result = await Promise.race([work, this.deps.clock.sleep(PATIENCE_MS, late.signal).then(() => null)]);
    late.abort();
    return result;
  }

  /** Lets work go on while other updates are handled. */
  inBackground(work: () => Promise<void>): void {
    const task = work()
      .catch((error: unknown) => this.failed('an answer could not be sent', error))
      .finally(() => this.#background.delete(task));
    this.#background.add(task);
  }

  /** To the operator's log, without a secret; silent once we are stopping. */
  failed(message: string, error: unknown): void {
    if (this.signal.aborted) return;
    const store = error instanceof Error && error.name === 'StoreError' ? error.message : null;
    this.deps.log(message, { error: store ?? failureOf(error, this.deps.config.token).description });
  }
}

/** How the store remembers who did it. */
export function personOf(user: number): string {
  return `telegram:${user}`;
}
