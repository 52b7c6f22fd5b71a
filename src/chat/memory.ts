// What the chat must remember across restarts: one record per card with buttons, updates that were
// taken, strangers that were reported. Small values of the store, bounded in number.

import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import type { Button, Notification } from '../core/notification.ts';
import type { Store } from '../store/contract.ts';

export type MemoryStore = Pick<Store, 'value' | 'setValue' | 'swapValue'>;

/** What a button stands for. The button itself carries only the handle. */
export interface Handle {
  readonly key: string;
  readonly incident: string;
  readonly chat: number;
  /** Message the handle is bound to; null until the message was sent. */
  readonly message: number | null;
  readonly actions: readonly Button['action'][];
  readonly plan: Notification['plan'];
  /** The decision, once there is one: a handle decides once. */
  readonly used: { readonly by: number; readonly action: Button['action']; readonly at: number } | null;
  readonly issuedAt: number;
  /** When "are you sure?" was asked, if it was. */
  readonly askedAt?: number;
}

/** A message of ours. Numbers say something within their chat only. */
export interface Said {
  readonly chat: number;
  readonly message: number;
}

export interface TelegramMemory {
  issue(card: Pick<Handle, 'key' | 'chat' | 'incident' | 'plan' | 'actions'>): Promise<string>;
  bind(handle: string, message: number): Promise<void>;
  /** Messages of ours in this chat that answered something. */
  answers(chat: number): Promise<readonly number[]>;
  /** Notes a message in the owner's chat, whoever wrote it. */
  heard(message: number): Promise<void>;
  newest(): Promise<number | null>;
  /** The record of a handle, or null for a forged, guessed or forgotten one. */
  handle(handle: string): Promise<Handle | null>;
  /** Marks the decision. False when it was used before: the first tap wins, also across restarts. */
  use(handle: string, used: NonNullable<Handle['used']>): Promise<boolean>;
  /** Notes that "are you sure?" is asked now. */
  askSure(handle: string): Promise<void>;
  /** Notes a message of ours that answers a command. */
  answered(said: Said): Promise<void>;
  /** True once per update: a replay after a crash is known. */
  takeUpdate(id: number): Promise<boolean>;
  /** True when the update was taken before. */
  wasTaken(id: number): Promise<boolean>;
  /** True when this stranger has not been reported today, and not too many others have. */
  reportStranger(user: number): Promise<boolean>;
}

const HANDLES_KEPT = 500;
const UPDATES_KEPT = 300;
const ANSWERS_KEPT = 60;
const STRANGERS_A_DAY = 5;
const DAY_MS = 86_400_000;

const KEY = 'telegram/key';
const HANDLES = 'telegram/handles';
const UPDATES = 'telegram/updates';
const ANSWERS = 'telegram/answers';
const NEWEST = 'telegram/newest';
const STRANGERS = 'telegram/strangers';

/** Several of these over one store see the same records. */
export function createTelegramMemory(store: MemoryStore, clock: Pick<Clock, 'now'>): TelegramMemory {
  return new StoredMemory(store, clock);
}

class StoredMemory implements TelegramMemory {
  readonly #store: MemoryStore;
  readonly #clock: Pick<Clock, 'now'>;
  #key: Promise<Buffer> | null = null;

  constructor(store: MemoryStore, clock: Pick<Clock, 'now'>) {
    this.#store = store;
    this.#clock = clock;
  }

  /**
   * 128 bits keyed with a random secret of this host: nobody can guess them, and the same card with the same plan gets
   * the same ones, so that an edit changes nothing that stands.
   */
  async issue(card: Pick<Handle, 'key' | 'chat' | 'incident' | 'plan' | 'actions'>): Promise<string> {
    const { key, chat, incident, plan, actions } = card;
    const key_ = await this.#secret();
    const text = JSON.stringify([key, chat, plan?.hash ?? null]);
    const handle = createHmac('sha256', key_).update(text).digest().subarray(0, 16).toString('base64url');
    const known = await this.handle(handle);
    if (!known) {
      const record: Handle = {
        key,
        incident,
        chat,
        plan,
        actions,
        message: null,
        used: null,
        issuedAt: this.#clock.now(),
      };
      if (await this.#store.swapValue(valueKey(handle), null, record)) await this.#keep(handle);
    } else if (actions.some((action) => !known.actions.includes(action))) {
      await this.#store.swapValue(valueKey(handle), known, {
        ...known,
        actions: [...new Set([...known.actions, ...actions])],
      });
    }
    return handle;
  }

  async bind(handle: string, message: number): Promise<void> {
    const known = await this.handle(handle);
    if (known && known.message !== message) await this.#store.swapValue(valueKey(handle), known, { ...known, message });
  }

  async handle(handle: string): Promise<Handle | null> {
    return /^[\w-]{22}$/.test(handle) ? this.#store.value<Handle>(valueKey(handle)) : null;
  }

  async use(handle: string, used: NonNullable<Handle['used']>): Promise<boolean> {
    const known = await this.handle(handle);
    if (!known || known.used) return false;
    return this.#store.swapValue(valueKey(handle), known, { ...known, used });
  }

  async askSure(handle: string): Promise<void> {
    const known = await this.handle(handle);
    if (known) await this.#store.swapValue(valueKey(handle), known, { ...known, askedAt: this.#clock.now() });
  }

  async heard(message: number): Promise<void> {
    if (message > ((await this.newest()) ?? 0)) await this.#store.setValue(NEWEST, message);
  }

  newest(): Promise<number | null> {
    return this.#store.value<number>(NEWEST);
  }

  async answered(said: Said): Promise<void> {
    await this.#store.setValue(ANSWERS, [...(await this.#answers()), said].slice(-ANSWERS_KEPT));
  }

  async answers(chat: number): Promise<readonly number[]> {
    return (await this.#answers()).filter((said) => said.chat === chat).map(({ message }) => message);
  }

  async #answers(): Promise<readonly Said[]> {
    return (await this.#store.value<readonly Said[]>(ANSWERS)) ?? [];
  }

  /** Recent ids instead of a high-water mark: after a quiet week the Bot API begins anew at a random number. */
  async takeUpdate(id: number): Promise<boolean> {
    for (;;) {
      const taken = await this.#store.value<readonly number[]>(UPDATES);
      if (taken?.includes(id)) return false;
      // What a former process left is marked while new updates come in.
      if (await this.#store.swapValue(UPDATES, taken, [...(taken ?? []), id].slice(-UPDATES_KEPT))) return true;
    }
  }

  async wasTaken(id: number): Promise<boolean> {
    return ((await this.#store.value<readonly number[]>(UPDATES)) ?? []).includes(id);
  }

  async reportStranger(user: number): Promise<boolean> {
    const now = this.#clock.now();
    const all = (await this.#store.value<readonly { user: number; at: number }[]>(STRANGERS)) ?? [];
    const recent = all.filter(({ at }) => now - at < DAY_MS);
    if (recent.length >= STRANGERS_A_DAY || recent.some((stranger) => stranger.user === user)) return false;
    await this.#store.setValue(STRANGERS, [...recent, { user, at: now }]);
    return true;
  }

  #secret(): Promise<Buffer> {
    this.#key ??= this.#loadKey();
    return this.#key;
  }

  async #loadKey(): Promise<Buffer> {
    await this.#store.swapValue(KEY, null, randomBytes(32).toString('base64'));
    return Buffer.from((await this.#store.value<string>(KEY)) ?? '', 'base64');
  }

  /** Forgets the oldest records, so that years of cards do not fill the store. */
  async #keep(handle: string): Promise<void> {
    const all = [...((await this.#store.value<readonly string[]>(HANDLES)) ?? []), handle];
    for (const old of all.slice(0, -HANDLES_KEPT)) await this.#store.setValue(valueKey(old), null);
    await this.#store.setValue(HANDLES, all.slice(-HANDLES_KEPT));
  }
}

function valueKey(handle: string): string {
  return `telegram/handle/${handle}`;
}
