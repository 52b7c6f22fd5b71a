// Answers on their way: each is tried until it has arrived, for a day at most. Of an answer in several pieces the ones
// that were sent are written down, so that the next attempt, also after a restart, goes on behind them.

import type { Api } from 'grammy';
import type { TelegramConfig } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import { failureOf, type TelegramFailure } from '../notifiers/shared/telegram-client.ts';
import type { Asked, AskedList } from './asked.ts';
import { changesSomething, type Answer } from './commands.ts';
import type { TelegramMemory } from './memory.ts';
import { reply, type Place, type Progress } from './reply.ts';

export interface DeliveriesDeps {
  readonly config: TelegramConfig;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly memory: TelegramMemory;
  readonly asked: AskedList;
  /** The operator's log: a fixed sentence and fields, no secrets. */
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly failed: (message: string, error: unknown) => void;
  readonly inBackground: (work: () => Promise<void>) => void;
}

/** Questions older than this are not answered any more. */
export const FORGOTTEN_MS = 3_600_000;
/** Nobody waits longer for an answer; what was done is in the history and on its card. */
const GIVEN_UP_MS = 86_400_000;
/** An answer that comes later than this quotes its question. */
const LATE_MS = 60_000;
const BACK_OFF_MS = 1_000;
const BACK_OFF_MOST_MS = 60_000;

export class Deliveries {
  readonly #d: DeliveriesDeps;

  constructor(deps: DeliveriesDeps) {
    this.#d = deps;
  }

  /** The first attempt is waited for, so that answers come in order; others do not hold up what is asked next. */
  async deliver(asked: Asked, api: Api): Promise<void> {
    const progress = this.#progressOf(asked);
    const wait = await this.#attempt(asked, progress, api, 0);
    if (wait === null) return;
    this.#d.inBackground(async () => {
      let pause: number | null = wait;
      for (let failures = 1; pause !== null && !this.#d.signal.aborted; failures++) {
        await this.#d.clock.sleep(pause, this.#d.signal);
        if (!this.#d.signal.aborted) pause = await this.#attempt(asked, progress, api, failures);
      }
    });
  }

  /** A question of long ago is asked again by whoever still wants to know; what was done is told for a day. */
  isForgotten({ command, at }: Asked): boolean {
    return this.#d.clock.now() - at > (changesSomething(command.name) ? GIVEN_UP_MS : FORGOTTEN_MS);
  }

  /** Sends words and returns the id of their message; null when that was not possible, which is logged. */
  async send(api: Api, said: Answer, place: Place): Promise<number | null> {
    try {
      return await reply(api, said, place, this.#replyDeps());
    } catch (error) {
      this.#d.failed('an answer could not be sent', error);
      return null;
    }
  }

  /** Null when it is over, for good or ill; else how long to wait before the next attempt. */
  async #attempt(asked: Asked, progress: Progress, api: Api, failures: number): Promise<number | null> {
    const { answer: said, place, question } = asked;
    const late = this.#d.clock.now() - asked.at > LATE_MS;
    try {
      if (this.isForgotten(asked))
        this.#d.log('an answer was given up: nobody waits for it any more', { asked: asked.text });
      else if (said) await reply(api, said, late ? { to: question, ...place } : place, this.#replyDeps(), progress);
    } catch (error) {
      this.#d.failed('an answer could not be sent', error);
      const wait = waitAfter(failureOf(error, this.#d.config.token), failures);
      if (wait !== null) return wait;
    }
    await this.#d.asked
      .done(asked.update)
      .catch((error: unknown) => this.#d.failed('an answer could not be crossed off', error));
    return null;
  }

  #progressOf({ update, pieces = 0 }: Asked): Progress {
    const { asked, failed } = this.#d;
    return {
      sent: pieces,
      async add() {
        this.sent++;
        // Whoever cannot write it down still knows it until the process ends.
        await asked
          .note(update, { pieces: this.sent })
          .catch((error: unknown) => failed('a piece of an answer was sent and could not be noted', error));
      },
    };
  }

  #replyDeps() {
    const { config, memory, signal, failed } = this.#d;
    return { access: config, home: config.chat, memory, signal, failed };
  }
}

/** Null for what was refused for good: the same words would be refused again. */
function waitAfter({ kind, code, retryAfterMs }: TelegramFailure, failures: number): number | null {
  if (kind !== 'silent' && code !== 429 && code < 500 && ![401, 403, 404].includes(code)) return null;
  return retryAfterMs ?? Math.min(BACK_OFF_MOST_MS, BACK_OFF_MS * 2 ** failures);
}
