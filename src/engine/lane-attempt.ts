// One attempt to deliver a message, so that a crash at any line neither loses nor repeats it: it is claimed first, with
// the newest message known on the channel, then sent, then recorded. A claim without a record is in doubt, and the next
// attempt looks for its message behind that newest one before it sends again.

import type { Clock } from '../core/clock.ts';
import type { Notification } from '../core/notification.ts';
import type { Notifier } from '../notifiers/contract.ts';
import type { OutboxRow, Store } from '../store/contract.ts';
import { DOUBT, isDoubtful } from './arrange.ts';

export interface AttemptDeps {
  readonly store: Pick<Store, 'updateOutbox' | 'value' | 'setValue'>;
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly problem: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** The message that is being sent, and the newest one that was known on the channel before. */
interface Claim {
  readonly id: string;
  readonly after: string | null;
}

const BACK_OFF_MS = 1_000;
const BACK_OFF_MOST_MS = 300_000;
/** After the signal to stop, a message on its way may still be answered. */
const LAST_WORDS_MS = 1_500;

export class Attempts {
  readonly #d: AttemptDeps;
  readonly #channel: string;
  #newest: string | null = null;
  #failures = 0;
  #failingSince: number | null = null;
  #notBefore = 0;

  constructor(deps: AttemptDeps) {
    this.#d = deps;
    this.#channel = deps.notifier.name;
  }

  /** Since when nothing could be delivered; null when it can. */
  get failingSince(): number | null {
    return this.#failingSince;
  }

  /** Epoch milliseconds before which there is no use in trying. */
  get notBefore(): number {
    return this.#notBefore;
  }

  /** Messages that were sent in former times. */
  remember(externalIds: readonly (string | null)[]): void {
    this.#newest = newestOf([this.#newest, ...externalIds]);
  }

  /** False when it has to be tried again later. `replaces`: the message to edit. */
  async deliver(row: OutboxRow, content: Notification, replaces: string | null, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    const { store, notifier, clock } = this.#d;
    const base = { id: row.notification.id, channel: this.#channel, tries: row.tries + 1, externalId: null };
    const doubtful = replaces === null ? await this.#claim(row) : {};
    const delivery = await this.#within(signal, (late) =>
      notifier.send(content, { replaces, signal: late, ...doubtful }),
    );
    const now = clock.now();
    switch (delivery.kind) {
      case 'sent':
        const { externalId } = delivery;
        await store.updateOutbox({ ...base, state: 'sent', notBefore: now, externalId, error: null });
        this.remember([externalId]);
        this.#failures = 0;
        this.#failingSince = null;
        return true;
      case 'rejected':
        await store.updateOutbox({ ...base, state: 'failed', notBefore: now, error: delivery.error });
        this.#d.problem('a message was refused for good', { channel: this.#channel, error: delivery.error });
        return true;
      case 'retry': {
        const error = `${delivery.doubtful ? DOUBT : ''}${delivery.error}`;
        await store.updateOutbox({ ...base, state: 'pending', notBefore: row.notBefore, error });
        this.#failed(delivery.afterMs, delivery.error);
        return false;
      }
    }
  }

  /** Says on the disk that this is being sent. Tells what to look for when that was said before. */
  async #claim(row: OutboxRow): Promise<{ readonly doubtful?: { readonly after: string | null } }> {
    const { store, notifier } = this.#d;
    const { id } = row.notification;
    const lost = isDoubtful(row);
    if (notifier.newest) {
      const known = lost ? await store.value<Claim>(this.#key()) : null;
      // The first claim knew best what was there before: since then our message may have arrived, and others after it.
      const after = known?.id === id ? known.after : newestOf([this.#newest, await notifier.newest()]);
      if (known?.id !== id) await store.setValue(this.#key(), { id, after } satisfies Claim);
      if (lost) return { doubtful: { after } };
    }
    const { channel, notBefore, tries } = row;
    await store.updateOutbox({
      id,
      channel,
      notBefore,
      tries: tries + 1,
      externalId: null,
      state: 'pending',
      error: `${DOUBT}sending`,
    });
    return lost ? { doubtful: { after: null } } : {};
  }

  #key(): string {
    return `outbox/${this.#channel}/claim`;
  }

  /** Runs `work` with a signal that comes a little later than ours. */
  async #within<T>(signal: AbortSignal, work: (late: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const done = new AbortController();
    const stop = () => void this.#d.clock.sleep(LAST_WORDS_MS, done.signal).then(() => late.abort());
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await work(late.signal);
    } finally {
      done.abort();
      signal.removeEventListener('abort', stop);
    }
  }

  #failed(afterMs: number | null, error: string): void {
    const now = this.#d.clock.now();
    const retryMs = afterMs ?? Math.min(BACK_OFF_MOST_MS, BACK_OFF_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 20);
    if (this.#failingSince === null) {
      const fields = { channel: this.#channel, error, retryMs };
      this.#d.problem('messages cannot be delivered for now; they are kept', fields);
    }
    this.#failingSince ??= now;
    this.#notBefore = now + retryMs;
  }
}

/** Message numbers grow; other ids are compared by their order of arrival. */
function newestOf(ids: readonly (string | null)[]): string | null {
  let newest: string | null = null;
  for (const id of ids) if (id !== null && (newest === null || Number(id) > Number(newest))) newest = id;
  return newest;
}
