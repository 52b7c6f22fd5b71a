// What the words and the buttons of the chat have in common: each wish is stored before it is carried out and until its
// answer has arrived, long errands go on in the background, and whatever goes wrong is logged without a secret.

import type { Api } from 'grammy';
import type { TelegramConfig } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import { oneLine } from '../core/visible.ts';
import { failureOf } from '../notifiers/shared/telegram-client.ts';
import type { Operations } from '../operations.ts';
import type { Store } from '../store/contract.ts';
import { AskedList, type Asked } from './asked.ts';
import { answer, changesSomething, type Answer } from './commands.ts';
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
/** Questions older than this are not answered any more. */
export const FORGOTTEN_MS = 3_600_000;
/** An answer that comes later than this quotes its question. */
const LATE_MS = 60_000;
const BACK_OFF_MS = 1_000;
const BACK_OFF_MOST_MS = 60_000;

export class Session {
  readonly deps: TelegramChatDeps;
  readonly signal: AbortSignal;
  readonly memory: TelegramMemory;
  readonly asked: AskedList;
  readonly #background = new Set<Promise<void>>();

  constructor(deps: TelegramChatDeps, signal: AbortSignal) {
    this.deps = deps;
    this.signal = signal;
    this.memory = createTelegramMemory(deps.store, deps.clock);
    this.asked = new AskedList(deps.store);
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
    const unstored = async () => void (await this.#reply(api, answer, asked.place));
    if (await this.#isNew(fresh, unstored)) await this.#deliver(fresh, api);
  }

  /** What a former process took in and did not live to answer. */
  async resume(api: Api): Promise<void> {
    const left = await this.asked.all();
    // A death right after it was stored: the server sends it again, and by then the list may not know it any more.
    for (const { update } of left) await this.memory.takeUpdate(update);
    for (const asked of left)
      if (this.#isForgotten(asked)) await this.asked.done(asked.update);
      else if (asked.answer) await this.#deliver(asked, api);
      else if (changesSomething(asked.command.name)) await this.#answerWith(interrupted(asked), asked, api);
      else await this.#carryOut(asked, api);
  }

  /**
   * Stored before it is carried out: what a crash interrupts is told, and never done twice. False for what was taken in
   * before, and for what cannot be stored, which is left to `unstored`.
   */
  async #isNew(asked: Asked, unstored: (why: unknown) => Promise<void>): Promise<boolean> {
    try {
      if ((await this.asked.knows(asked.update)) || (await this.memory.wasTaken(asked.update))) return false;
      await this.asked.add(asked);
      await this.memory.takeUpdate(asked.update);
      return true;
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
      return void (await this.#reply(api, notStored(asked, why), place));
    }
    this.inBackground(async () => {
      const options = { now: clock.now(), signal: this.signal };
      const said = await answer(command, operations, personOf(asked.user), options).catch((error: unknown) =>
        this.#broken(error),
      );
      // A button needs a record to stand for something.
      const { buttons: _, ...words } = said;
      await this.#reply(api, words, place);
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
    if (soon) return this.#answerWith(soon, asked, api);
    const words = { lines: ['⏳ Working on it…'] };
    const waiting = await this.#reply(api, words, { chat: place.chat, key: `${place.key}:wait` });
    const there = waiting === null ? asked : { ...asked, place: { ...place, instead: waiting } };
    if (waiting !== null) await this.asked.note(asked.update, { place: there.place });
    this.inBackground(async () => this.#answerWith(await work, there, api));
  }

  async #answerWith(said: Answer, asked: Asked, api: Api): Promise<void> {
    // What was cut short because we stop is no answer: the next start says that it was interrupted.
    if (this.signal.aborted) return;
    await this.asked.note(asked.update, { answer: said });
    await this.#deliver({ ...asked, answer: said }, api);
  }

  /** The first attempt is waited for, so that answers come in order; others do not hold up what is asked next. */
  async #deliver(asked: Asked, api: Api): Promise<void> {
    const wait = await this.#attempt(asked, api, 0);
    if (wait === null) return;
    this.inBackground(async () => {
      let pause: number | null = wait;
      for (let failures = 1; pause !== null && !this.signal.aborted; failures++) {
        await this.deps.clock.sleep(pause, this.signal);
        if (!this.signal.aborted) pause = await this.#attempt(asked, api, failures);
      }
    });
  }

  /** Null when it is over, for good or ill; else how long to wait before the next attempt. */
  async #attempt(asked: Asked, api: Api, failures: number): Promise<number | null> {
    const { answer: said, place, question } = asked;
    const late = this.deps.clock.now() - asked.at > LATE_MS;
    try {
      if (said && !this.#isForgotten(asked))
        await reply(api, said, late ? { to: question, ...place } : place, this.#replyDeps());
    } catch (error) {
      this.failed('an answer could not be sent', error);
      const { kind, code, retryAfterMs } = failureOf(error, this.deps.config.token);
      // Refused for good: the same words would be refused again.
      if (kind === 'silent' || code === 429 || code >= 500 || [401, 403, 404].includes(code))
        return retryAfterMs ?? Math.min(BACK_OFF_MOST_MS, BACK_OFF_MS * 2 ** failures);
    }
    await this.asked.done(asked.update);
    return null;
  }

  /** A question of long ago is asked again by whoever still wants to know; what was done is always told. */
  #isForgotten({ command, at }: Asked): boolean {
    return !changesSomething(command.name) && this.deps.clock.now() - at > FORGOTTEN_MS;
  }

  #broken(error: unknown): Answer {
    this.failed('a command could not be carried out', error);
    return {
      lines: ['❌ That did not work: my memory (the store) cannot be reached just now. Try again in a minute.'],
    };
  }

  /** Sends words and returns the id of their message; null when that was not possible, which is logged. */
  async #reply(api: Api, said: Answer, place: Place): Promise<number | null> {
    try {
      return await reply(api, said, place, this.#replyDeps());
    } catch (error) {
      this.failed('an answer could not be sent', error);
      return null;
    }
  }

  #replyDeps() {
    return { access: this.deps.config, home: this.deps.config.chat, memory: this.memory, signal: this.signal };
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

function notStored({ text }: Asked, why: unknown): Answer {
  const reason = why instanceof Error && why.name === 'StoreError' ? oneLine(why.message, 200) : 'it gives no reason';
  return {
    lines: [
      `❌ Nothing was done about "${text}": my memory (the store) cannot be written just now (${reason}).`,
      'See to that, and send it again. What only shows something still works.',
    ],
  };
}

function interrupted({ text }: Asked): Answer {
  return {
    lines: [
      `⚠️ I was interrupted at "${text}": it may be done, or not.`,
      'Look first ("incidents", "history", "status"), and send it again if you still want it.',
    ],
  };
}

/** How the store remembers who did it. */
export function personOf(user: number): string {
  return `telegram:${user}`;
}
