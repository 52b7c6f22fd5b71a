// What a press on a button means. A button carries nothing but a handle; what it stands for, for whom and
// until when is in our own records, and a decision holds for the exact plan that its card has shown.

import type { Api } from 'grammy';
import type { CallbackQuery } from 'grammy/types';
import { oneLine } from '../core/visible.ts';
import { keyboardOf, readPress, type Press } from '../notifiers/shared/telegram-buttons.ts';
import { bridged } from '../notifiers/shared/telegram-client.ts';
import type { ActionAnswer } from '../operations.ts';
import type { Handle } from './memory.ts';
import { doneText } from './render-parts.ts';
import { personOf, type Session } from './session.ts';

/** "Are you sure?" is not answered by a tap of another moment. */
const SURE_MS = 300_000;
const SILENCE_MS = 2 * 3_600_000;

/** Where a button stands. */
interface Spot {
  readonly chat: number;
  readonly message: number;
}

/** What is pressed there. */
interface Touch extends Spot {
  readonly update: number;
}

export class Presses {
  readonly #s: Session;

  constructor(session: Session) {
    this.#s = session;
  }

  /** Handles one press; rejects for a store that cannot be reached. */
  async take(update: number, query: CallbackQuery, api: Api): Promise<void> {
    const message = query.message;
    const chat = message?.chat.id;
    // Silence for strangers here too: not even the spinner ends.
    if (!message || chat === undefined || query.from.is_bot || !this.#s.mayUse(query.from.id, chat)) return;
    const read = query.data === undefined ? null : readPress(query.data);
    const record = read && (await this.#s.memory.handle(read.handle));
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
    // A question is marked by the list of what was asked.
    if (
      read.press === 'details'
        ? await this.#s.memory.wasTaken(update)
        : !once && !(await this.#s.memory.takeUpdate(update))
    )
      return;
    const at = { chat, message: message.message_id, update };
    await this.#carryOutPress(read.press, read.handle, record, query, at, api);
  }

  /** Why this press must not count; null when it may. */
  #refusal(press: Press, record: Handle, chat: number, message: number): string | null {
    const action = press === 'rollback-sure' || press === 'leave' ? 'rollback' : press;
    if (!isFor(record, { chat: { id: chat }, message_id: message }) || !record.actions.includes(action))
      return 'This button is not valid.';
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

  async #carryOutPress(
    press: Press,
    handle: string,
    record: Handle,
    query: CallbackQuery,
    at: Touch,
    api: Api,
  ): Promise<void> {
    const { operations } = this.#s.deps;
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
        return this.#acknowledge(api, query.id, doneText(done), !done.ok);
      }
      case 'details':
        await this.#acknowledge(api, query.id, '', false);
        return this.#s.ask(this.#askedBy(query, at, plan ? 'plan' : 'incident', incident), api);
      case 'rollback':
        await this.#s.memory.askSure(handle);
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
    at: Touch,
    api: Api,
  ): Promise<void> {
    const failed = (error: unknown): ActionAnswer => {
      this.#s.failed('a decision could not be stored', error);
      return { ok: false, message: 'my memory cannot be reached just now; press again in a minute', incident: null };
    };
    const work = act().catch(failed);
    const soon = await this.#s.withinPatience(work);
    const finish = async (done: ActionAnswer): Promise<void> => {
      if (done.ok) await this.#s.memory.use(handle, { by: query.from.id, action, at: this.#s.deps.clock.now() });
      if (done.ok || soon) await this.#dropButtonsIf(done, api, at);
    };
    await this.#acknowledge(api, query.id, soon ? doneText(soon) : '⏳ Working on it…', soon !== null && !soon.ok);
    if (soon) return finish(soon);
    this.#s.inBackground(async () => {
      const done = await work;
      await finish(done);
      const asked = this.#askedBy(query, at, action, done.incident?.id ?? '');
      // The update of a rollback is marked as taken already; its answer has a number of its own.
      await this.#s.say({ ...asked, update: -at.update }, { lines: [doneText(done)] }, api);
    });
  }

  /** A press as if its words had been written. */
  #askedBy(query: CallbackQuery, at: Touch, name: 'plan' | 'incident' | 'approve' | 'deny' | 'rollback', id: string) {
    return {
      update: at.update,
      user: query.from.id,
      command: { name, id },
      text: `${name} ${id}`,
      question: at.message,
      place: { chat: at.chat, key: `pressed:${query.id}`, to: at.message },
      at: this.#s.deps.clock.now(),
    };
  }

  async #dropButtonsIf(done: ActionAnswer, api: Api, at: Spot): Promise<void> {
    if (done.ok || /already|expired|changed|does not wait/i.test(done.message))
      await this.#dropButtons(api, at.chat, at.message);
  }

  /** Ends the spinner. A query that is too old cannot be answered any more; the decision stands all the same. */
  async #acknowledge(api: Api, id: string, text: string, alert: boolean): Promise<void> {
    try {
      await api.answerCallbackQuery(id, { text: oneLine(text, 190), show_alert: alert }, bridged(this.#s.signal));
    } catch (error) {
      this.#s.failed('a press could not be acknowledged', error);
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
function isFor(
  record: Handle,
  message: { readonly chat: { readonly id: number }; readonly message_id: number },
): boolean {
  return record.chat === message.chat.id && (record.message === null || record.message === message.message_id);
}

function isDecision(press: Press | undefined): boolean {
  return press === 'approve' || press === 'deny' || press === 'rollback-sure';
}
