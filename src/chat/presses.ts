// What a press on a button means. A button carries nothing but a handle; what it stands for, for whom and
// until when is in our own records, and a decision holds for the exact plan that its card has shown.

import type { Api } from 'grammy';
import type { CallbackQuery } from 'grammy/types';
import { oneLine } from '../core/visible.ts';
import { keyboardOf, readPress, type Press } from '../notifiers/shared/telegram-buttons.ts';
import { bridged, failureOf } from '../notifiers/shared/telegram-client.ts';
import type { ActionAnswer } from '../operations.ts';
import type { Asked } from './asked.ts';
import type { Answer, Command } from './commands.ts';
import { interrupted, notStoredBriefly, stateLines } from './interrupted.ts';
import type { Handle } from './memory.ts';
import { doneText } from './render-parts.ts';
import { personOf, type Session } from './session.ts';

/** "Are you sure?" is not answered by a tap of another moment. */
const SURE_MS = 300_000;
/** A decision that a crash interrupted is made after it within this time; later it is asked for again. */
const STALE_MS = 300_000;
const SILENCE_MS = 2 * 3_600_000;

/** Where a button stands. */
interface Spot {
  readonly chat: number;
  readonly message: number;
}

/** What is pressed there. */
interface Touch extends Spot {
  readonly update: number;
  readonly handle: string;
}

/** What changes something. */
type Act = 'approve' | 'deny' | 'rollback' | 'silence';

export class Presses {
  readonly #s: Session;

  constructor(session: Session) {
    this.#s = session;
  }

  /** Handles one press. Each is answered, also when nothing can be stored or read. */
  async take(update: number, query: CallbackQuery, api: Api): Promise<void> {
    const message = query.message;
    const chat = message?.chat.id;
    // Silence for strangers here too: not even the spinner ends.
    if (!message || chat === undefined || query.from.is_bot || !this.#s.mayUse(query.from.id, chat)) return;
    try {
      await this.#take(update, query, { chat, message: message.message_id }, api);
    } catch (error) {
      this.#s.failed('a press could not be handled', error);
      await this.#acknowledge(api, query.id, notStoredBriefly(error), true);
    }
  }

  /** A press that a former process took in: it is told what became of it. */
  async resume(asked: Asked, handle: string, api: Api): Promise<Answer> {
    const { command, question, place, user } = asked;
    const record = await this.#s.memory.handle(handle);
    const spot = { chat: place.chat, message: question };
    const isStale = this.#s.deps.clock.now() - asked.at > STALE_MS;
    // A decision on a plan counts once by itself, so it can be made now; all else may have been done already.
    if (record && !isStale && (command.name === 'approve' || command.name === 'deny')) {
      const done = await this.#act(command.name, record, user).catch((error: unknown) => this.#broken(error));
      await this.#finish(command.name, done, handle, user, spot, api);
      return { lines: [`↩️ I was interrupted at "${asked.text}".`, doneText(done), ...(await this.#stateOf(record))] };
    }
    // "Are you sure?" was answered to a process that is no more.
    if (record && command.name === 'rollback') await this.#setButtons(api, spot, record.actions, handle);
    return interrupted(asked, this.#s.deps.operations);
  }

  #stateOf({ incident }: Handle): Promise<readonly string[]> {
    return stateLines(incident, this.#s.deps.operations);
  }

  async #take(update: number, query: CallbackQuery, spot: Spot, api: Api): Promise<void> {
    const { chat, message } = spot;
    const read = query.data === undefined ? null : readPress(query.data);
    const record = read && (await this.#s.memory.handle(read.handle));
    const refused = read && record ? this.#refusal(read.press, record, chat, message) : 'This button is not valid.';
    if (!read || !record) return void (await this.#acknowledge(api, query.id, refused ?? '', true));
    const at = { ...spot, update, handle: read.handle };
    if (refused !== null) return this.#refuse(refused, read.press, record, query, at, api);
    await this.#carryOutPress(read.press, record, query, at, api);
  }

  async #refuse(why: string, press: Press, record: Handle, query: CallbackQuery, at: Touch, api: Api): Promise<void> {
    const seen = await this.#acknowledge(api, query.id, why, true);
    if (!isDecision(press)) return;
    if (press === 'rollback-sure' && !record.used && isFor(record, at))
      await this.#setButtons(api, at, record.actions, at.handle);
    else await this.#dropButtons(api, at.chat, at.message);
    const name = press === 'approve' || press === 'deny' ? press : 'rollback';
    // Whoever pressed long ago believes that it was decided.
    if (!seen && isFor(record, at))
      await this.#s.say(this.#askedBy(query, at, { name, id: record.incident }), { lines: [`❌ ${why}`] }, api);
  }

  /** Why this press must not count; null when it may. */
  #refusal(press: Press, record: Handle, chat: number, message: number): string | null {
    const action = press === 'rollback-sure' || press === 'leave' ? 'rollback' : press;
    if (!isFor(record, { chat, message }) || !record.actions.includes(action)) return 'This button is not valid.';
    if (!isDecision(press)) return null;
    if (record.used) return `Already decided: ${record.used.action} by user ${record.used.by}.`;
    if (press === 'rollback-sure')
      return this.#s.deps.clock.now() - (record.askedAt ?? 0) > SURE_MS
        ? 'I asked too long ago. Press "Roll back" again if you still want it.'
        : null;
    if (record.plan === null) return 'This card has no plan to decide on.';
    if (record.plan.expiresAt <= this.#s.deps.clock.now())
      return `Too late: this plan has expired. Send "plan ${record.incident}" for a new one.`;
    return null;
  }

  async #carryOutPress(press: Press, record: Handle, query: CallbackQuery, at: Touch, api: Api): Promise<void> {
    const { memory } = this.#s;
    const { incident, plan } = record;
    switch (press) {
      case 'approve':
      case 'deny':
      case 'silence':
        return this.#decide(press, record, query, at, api);
      case 'rollback-sure':
        return this.#decide('rollback', record, query, at, api);
      case 'details':
        // A question is marked by the list of what was asked.
        if (await memory.wasTaken(at.update)) return;
        await this.#acknowledge(api, query.id, '', false);
        return this.#s.ask(this.#askedBy(query, at, { name: plan ? 'plan' : 'incident', id: incident }), api);
      case 'rollback':
        if (!(await memory.takeUpdate(at.update))) return;
        await memory.askSure(at.handle);
        await this.#acknowledge(api, query.id, `Roll back incident ${incident}?`, false);
        return this.#setButtons(api, at, ['rollback-sure', 'leave'], at.handle);
      case 'leave':
        await this.#acknowledge(api, query.id, 'Left as it is.', false);
        return this.#setButtons(api, at, record.actions, at.handle);
    }
  }

  /**
   * Stored first, like a wish in words: what a crash interrupts is told after it. Then decide, acknowledge, and change
   * the card: a crash in between leaves the decision, never a lie.
   */
  async #decide(name: Act, record: Handle, query: CallbackQuery, at: Touch, api: Api): Promise<void> {
    const user = query.from.id;
    const id = record.incident;
    const command = name === 'silence' ? { name, id, forMs: SILENCE_MS } : { name, id };
    const asked: Asked = { ...this.#askedBy(query, at, command), answer: null, pressed: at.handle };
    if (!(await this.#s.takeIn(asked))) return;
    const work = this.#act(name, record, user).catch((error: unknown) => this.#broken(error));
    const soon = await this.#s.withinPatience(work);
    const words = soon ? doneText(soon) : '⏳ Working on it…';
    const seen = await this.#acknowledge(api, query.id, words, soon !== null && !soon.ok);
    if (soon) {
      await this.#finish(name, soon, at.handle, user, at, api);
      // A tap that is too old for a pop-up is answered in words.
      return seen ? this.#s.done(at.update) : this.#s.answerWith({ lines: [words] }, asked, api);
    }
    this.#s.inBackground(async () => {
      const done = await work;
      // What was cut short because we stop is no outcome: the next start says that it was interrupted.
      if (this.#s.signal.aborted) return;
      if (done.ok) await this.#finish(name, done, at.handle, user, at, api);
      await this.#s.answerWith({ lines: [doneText(done)] }, asked, api);
    });
  }

  #act(name: Act, { incident, plan }: Handle, user: number): Promise<ActionAnswer> {
    const { operations } = this.#s.deps;
    const person = personOf(user);
    if (name === 'silence') return operations.silence(incident, SILENCE_MS, person);
    if (name === 'rollback') return operations.rollback(incident, person, this.#s.signal);
    return operations[name](incident, person, plan?.hash);
  }

  #broken(error: unknown): ActionAnswer {
    this.#s.failed('a decision could not be stored', error);
    return { ok: false, message: 'my memory cannot be reached just now; press again in a minute', incident: null };
  }

  /** The card after a decision. What cannot be noted stands in the approval all the same. */
  async #finish(action: Act, done: ActionAnswer, handle: string, by: number, at: Spot, api: Api): Promise<void> {
    // Whoever silences has decided nothing.
    if (action === 'silence') return;
    if (done.ok)
      await this.#s.memory
        .use(handle, { by, action, at: this.#s.deps.clock.now() })
        .catch((error: unknown) => this.#s.failed('a decision could not be noted on its card', error));
    await this.#dropButtonsIf(done, api, at);
  }

  /** A press as if its words had been written. */
  #askedBy(query: CallbackQuery, at: Touch, command: Command & { readonly id: string }) {
    return {
      update: at.update,
      user: query.from.id,
      command,
      text: `${command.name} ${command.id}`,
      question: at.message,
      place: { chat: at.chat, key: `pressed:${query.id}`, to: at.message },
      at: this.#s.deps.clock.now(),
    };
  }

  async #dropButtonsIf(done: ActionAnswer, api: Api, at: Spot): Promise<void> {
    if (done.ok || /already|expired|changed|does not wait/i.test(done.message))
      await this.#dropButtons(api, at.chat, at.message);
  }

  /** Ends the spinner. False when the server refuses: a query that is too old cannot be answered any more. */
  async #acknowledge(api: Api, id: string, text: string, alert: boolean): Promise<boolean> {
    try {
      await api.answerCallbackQuery(id, { text: oneLine(text, 190), show_alert: alert }, bridged(this.#s.signal));
      return true;
    } catch (error) {
      this.#s.failed('a press could not be acknowledged', error);
      return failureOf(error, this.#s.deps.config.token).code !== 400;
    }
  }

  async #dropButtons(api: Api, chat: number, message: number): Promise<void> {
    await api.editMessageReplyMarkup(chat, message, {}, bridged(this.#s.signal)).catch(() => {
      // It has none any more, or the card was edited meanwhile.
    });
  }

  async #setButtons(api: Api, at: Spot, presses: readonly Press[], handle: string): Promise<void> {
    const reply_markup = keyboardOf(presses, handle);
    await api
      .editMessageReplyMarkup(at.chat, at.message, { reply_markup }, bridged(this.#s.signal))
      .catch((error: unknown) => {
        this.#s.failed('buttons could not be changed', error);
      });
  }
}

/** Handles hold for the message that they were issued for, and for no other. */
function isFor(record: Handle, at: Spot): boolean {
  return record.chat === at.chat && (record.message === null || record.message === at.message);
}

function isDecision(press: Press | undefined): boolean {
  return press === 'approve' || press === 'deny' || press === 'rollback-sure';
}
