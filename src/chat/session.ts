// What the words and the buttons of the chat have in common: each wish is stored before it is carried out and until its
// answer has arrived, long errands go on in the background, and whatever goes wrong is logged without a secret.

import type { Api } from 'grammy';
import type { TelegramConfig } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import { failureOf } from '../notifiers/shared/telegram-client.ts';
import type { Operations } from '../operations.ts';
import type { Store } from '../store/contract.ts';
import { AskedList, type Asked } from './asked.ts';
import { answer, changesSomething, type Answer } from './commands.ts';
import { Deliveries } from './deliveries.ts';
import { interrupted, notStored } from './interrupted.ts';
import { createTelegramMemory, type TelegramMemory } from './memory.ts';

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
  readonly asked: AskedList;
  readonly #deliveries: Deliveries;
  readonly #background = new Set<Promise<void>>();

  constructor(deps: TelegramChatDeps, signal: AbortSignal) {
    this.deps = deps;
    this.signal = signal;
    this.memory = createTelegramMemory(deps.store, deps.clock);
    this.asked = new AskedList(deps.store);
    const { config, clock, log } = deps;
    const { memory, asked } = this;
    this.#deliveries = new Deliveries({
      ...{ config, clock, log, signal, memory, asked },
      failed: (message, error) => this.failed(message, error),
      inBackground: (work) => this.inBackground(work),
    });
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

  /** Takes a question or a wish in, once, and answers it; resolves when it is answered or goes on in the background. */
  async ask(asked: Omit<Asked, 'answer'>, api: Api): Promise<void> {
    const fresh = { ...asked, answer: null };
    if (await this.#isNew(fresh, (why) => this.#withoutStore(fresh, why, api))) await this.#carryOut(fresh, api);
  }

  /** The same when there is nothing to carry out, only to say. */
  async say(asked: Omit<Asked, 'answer'>, answer: Answer, api: Api): Promise<void> {
    const fresh = { ...asked, answer };
    const unstored = async () => void (await this.#deliveries.send(api, answer, asked.place));
    if (await this.#isNew(fresh, unstored)) await this.#deliveries.deliver(fresh, api);
  }

  /** What a former process took in and did not live to answer; `pressed` answers for presses on buttons. */
  async resume(api: Api, pressed: (asked: Asked, handle: string) => Promise<Answer>): Promise<void> {
    const left = await this.asked.all();
    // A death right after it was stored: the server sends it again, and by then the list may not know it any more.
    for (const { update } of left) await this.memory.takeUpdate(update);
    // Who was taken off the list meanwhile has no say any more, and is told nothing.
    for (const asked of left)
      if (this.#deliveries.isForgotten(asked) || !this.mayUse(asked.user, asked.place.chat))
        await this.asked.done(asked.update);
      else if (asked.answer) await this.#deliveries.deliver(asked, api);
      else if (asked.pressed !== undefined) await this.answerWith(await pressed(asked, asked.pressed), asked, api);
      else if (changesSomething(asked.command.name))
        await this.answerWith(await interrupted(asked, this.deps.operations), asked, api);
      else await this.#carryOut(asked, api);
  }

  /** Stores what is about to be carried out; false for what was taken in before. Rejects when it cannot be stored. */
  async takeIn(asked: Asked): Promise<boolean> {
    if ((await this.asked.knows(asked.update)) || (await this.memory.wasTaken(asked.update))) return false;
    await this.asked.add(asked);
    await this.memory.takeUpdate(asked.update);
    return true;
  }

  /**
   * Stored before it is carried out: what a crash interrupts is told, and never done twice. False for what was taken in
   * before, and for what cannot be stored, which is left to `unstored`.
   */
  async #isNew(asked: Asked, unstored: (why: unknown) => Promise<void>): Promise<boolean> {
    try {
      return await this.takeIn(asked);
    } catch (error) {
      this.failed('a command could not be stored', error);
      await unstored(error);
      return false;
    }
  }

  /** A full disk is when people ask most: what only shows is shown, and what would change something is not begun. */
  async #withoutStore(asked: Asked, why: unknown, api: Api): Promise<void> {
    const { operations, clock } = this.deps;
    const { command, place } = asked;
    if (changesSomething(command.name)) {
      await this.asked.done(asked.update).catch(() => {
        // It was most likely not added either.
      });
      return void (await this.#deliveries.send(api, { lines: notStored(asked.text, why) }, place));
    }
    this.inBackground(async () => {
      const options = { now: clock.now(), signal: this.signal };
      const said = await answer(command, operations, personOf(asked.user), options).catch((error: unknown) =>
        this.#broken(error),
      );
      // A button needs a record to stand for something.
      const { buttons: _, ...words } = said;
      await this.#deliveries.send(api, words, place);
    });
  }

  /** Answers at once, or says that it takes a while and answers later. */
  async #carryOut(asked: Asked, api: Api): Promise<void> {
    const { operations, clock } = this.deps;
    const { command, place } = asked;
    const options = { now: clock.now(), signal: this.signal };
    const work = answer(command, operations, personOf(asked.user), options).catch((error: unknown) =>
      this.#broken(error),
    );
    const soon = await this.withinPatience(work);
    if (soon) return this.answerWith(soon, asked, api);
    const words = { lines: ['⏳ Working on it…'] };
    const waiting = await this.#deliveries.send(api, words, { chat: place.chat, key: `${place.key}:wait` });
    const there = waiting === null ? asked : { ...asked, place: { ...place, instead: waiting } };
    if (waiting !== null) await this.#note(asked.update, { place: there.place });
    this.inBackground(async () => this.answerWith(await work, there, api));
  }

  /** What was taken in is answered, and done with once that has arrived. */
  async answerWith(said: Answer, asked: Asked, api: Api): Promise<void> {
    // What was cut short because we stop is no answer: the next start says that it was interrupted.
    if (this.signal.aborted) return;
    await this.#note(asked.update, { answer: said });
    await this.#deliveries.deliver({ ...asked, answer: said }, api);
  }

  /** What cannot be written down is told all the same. */
  #note(update: number, news: Parameters<AskedList['note']>[1]): Promise<void> {
    return this.asked.note(update, news).catch((error: unknown) => this.failed('an answer could not be stored', error));
  }

  /** Needs no answer any more. */
  async done(update: number): Promise<void> {
    await this.asked.done(update).catch((error: unknown) => this.failed('an answer could not be crossed off', error));
  }

  #broken(error: unknown): Answer {
    this.failed('a command could not be carried out', error);
    return {
      lines: ['❌ That did not work: my memory (the store) cannot be reached just now. Try again in a minute.'],
    };
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
