// What was asked and is not answered yet. A question stays here until its answer has arrived, so that neither a crash
// nor a bad network makes the chat forget it.

import type { Store } from '../store/contract.ts';
import type { Answer, Command, Suggestion } from './commands.ts';
import type { Place } from './reply.ts';

/** A wish or a question of a person. */
export interface Asked {
  readonly update: number;
  readonly user: number;
  readonly command: Command | Suggestion;
  /** As it was written, cut: for people. */
  readonly text: string;
  /** Message it was written or pressed in. */
  readonly question: number;
  readonly place: Place;
  /** Epoch milliseconds. */
  readonly at: number;
  /** Null until it is carried out. */
  readonly answer: Answer | null;
  /** Pieces of the answer that have been sent. Absent: none, or it has only one. */
  readonly pieces?: number;
  /** Handle of the button that was pressed instead of words being written. */
  readonly pressed?: string;
}

const KEY = 'telegram/asked';
/** More than a person asks within an outage; the oldest are forgotten. */
const KEPT = 40;

export class AskedList {
  readonly #store: Pick<Store, 'value' | 'setValue'>;
  /** One change after the other: several answers may be under way. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(store: Pick<Store, 'value' | 'setValue'>) {
    this.#store = store;
  }

  async all(): Promise<readonly Asked[]> {
    return (await this.#store.value<readonly Asked[]>(KEY)) ?? [];
  }

  async knows(update: number): Promise<boolean> {
    return (await this.all()).some((asked) => asked.update === update);
  }

  add(asked: Asked): Promise<void> {
    return this.#change((all) => [...all.filter(({ update }) => update !== asked.update), asked].slice(-KEPT));
  }

  /** What is known of it by now: its answer, or the message that will become it. */
  note(update: number, news: Partial<Pick<Asked, 'answer' | 'place' | 'pieces'>>): Promise<void> {
    return this.#change((all) => all.map((asked) => (asked.update === update ? { ...asked, ...news } : asked)));
  }

  /** Answered, or not worth an answer any more. */
  done(update: number): Promise<void> {
    return this.#change((all) => all.filter((asked) => asked.update !== update));
  }

  #change(edit: (all: readonly Asked[]) => readonly Asked[]): Promise<void> {
    const work = this.#queue.then(async () => this.#store.setValue(KEY, edit(await this.all())));
    this.#queue = work.catch(() => {});
    return work;
  }
}
