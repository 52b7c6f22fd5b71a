// The delivery of one channel: takes rows out of the outbox, drops what was overtaken, merges what is
// too much, sends the rest one by one, and writes down what became of each. Crash-safe at every line.

import type { Config } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import type { Notification } from '../core/notification.ts';
import type { Notifier } from '../notifiers/contract.ts';
import type { OutboxRow, Store } from '../store/contract.ts';
import { arrange, DOUBT, isCritical, isDigest, isDoubtful, isLiveAsk, isNews, type NewsItem } from './arrange.ts';
import { addTo, broughtUpToDate, digestNotification, newTally, type DigestKind, type Tally } from './digest.ts';
import { isCardKey } from './news.ts';
import { quietUntil } from './quiet-hours.ts';

export type LaneStore = Pick<
  Store,
  'enqueue' | 'dueOutbox' | 'updateOutbox' | 'lastSent' | 'outbox' | 'value' | 'setValue' | 'incident'
>;

export interface LaneDeps {
  readonly store: LaneStore;
  readonly notifier: Notifier;
  readonly config: Pick<Config, 'quietHours' | 'digestIntervalMs'>;
  readonly timezone: string;
  readonly clock: Clock;
  /** Told to the operator's log: a fixed sentence and fields, no secrets. */
  readonly problem: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Between two calls of a channel that people read: Telegram bears about one message a second in a chat. */
const PACE_MS = 1_000;
/** A first alert waits this long: most problems have more to say by then, and it is said once. */
const HOLD_MS = 2_500;
const HOLD_CRITICAL_MS = 400;
/** Messages of their own within the window; what comes on top is merged. */
const WINDOW_MS = 300_000;
const BUDGET = 10;
const CRITICAL_EXTRA = 4;
/** More than this many waiting at the same time are merged at once. */
const MERGE_OVER = 5;
const ASKS_AT_ONCE = 3;
/** Questions of their own within the window. Whoever is asked too often approves without reading: the rest is merged. */
const ASKS = 6;
/** A storm's digest is edited at most this often, and begins anew after its end. */
const DIGEST_GAP_MS = 60_000;
const DIGEST_LIFE_MS = 600_000;
const OUTAGE_MS = 600_000;
const BACK_OFF_MS = 1_000;
const BACK_OFF_MOST_MS = 300_000;
const IDLE_MS = 5_000;
const BATCH = 1_000;
/** After the signal to stop, a message on its way may still be answered. */
const LAST_WORDS_MS = 1_500;

interface LaneState {
  readonly tally: Tally | null;
  readonly talliedAt: number;
  /** A merge under way: finished first after a restart. */
  readonly merging: { readonly notification: Notification; readonly rows: readonly string[] } | null;
}

interface Choice {
  readonly send: readonly NewsItem[];
  readonly merge: readonly NewsItem[];
  readonly kind: DigestKind;
  /** When the earliest of what waits is due; Infinity when nothing waits. */
  readonly nextAt: number;
}

const FRESH: LaneState = { tally: null, talliedAt: 0, merging: null };

export class Lane {
  readonly #d: LaneDeps;
  readonly #channel: string;
  #state: LaneState | null = null;
  #newsAt: number[] = [];
  #asksAt: number[] = [];
  #newest: string | null = null;
  #failures = 0;
  #failingSince: number | null = null;
  #notBefore = 0;
  #woken = false;
  #wake: () => void = () => {};

  constructor(deps: LaneDeps) {
    this.#d = deps;
    this.#channel = deps.notifier.name;
  }

  /** Something new was stored. */
  wake(): void {
    this.#woken = true;
    this.#wake();
  }

  /** Delivers until the signal aborts. Never rejects: a store that fails is asked again. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let rest = IDLE_MS;
      try {
        this.#state ??= await this.#load();
        rest = await this.#turn(signal);
      } catch (error) {
        this.#d.problem('the outbox could not be worked off', { channel: this.#channel, error: nameOf(error) });
        rest = BACK_OFF_MS;
      }
      await this.#rest(rest, signal);
    }
  }

  async #load(): Promise<LaneState> {
    const { store, clock } = this.#d;
    const recent = (await store.outbox({ limit: 500 })).filter((row) => row.channel === this.#channel);
    const sent = recent.filter((row) => row.state === 'sent');
    const news = sent.filter(isNews);
    this.#newsAt = news.map((row) => row.notification.at);
    this.#asksAt = news.filter((row) => row.notification.plan !== null).map((row) => row.notification.at);
    this.#newest = newestOf(sent.map((row) => row.externalId));
    this.#newsAt = this.#newsAt.filter((at) => clock.now() - at < WINDOW_MS);
    return (await store.value<LaneState>(this.#key())) ?? FRESH;
  }

  #key(): string {
    return `outbox/${this.#channel}`;
  }

  /** One look at the outbox. Returns how long nothing needs to be looked at. */
  async #turn(signal: AbortSignal): Promise<number> {
    const { store, clock, notifier } = this.#d;
    if (this.#state?.merging) await this.#finishMerge();
    const now = clock.now();
    if (now < this.#notBefore) return this.#notBefore - now;
    const rows = await store.dueOutbox(this.#channel, now, BATCH);
    if (!notifier.edits) return this.#deliverAll(rows, signal);
    const { overtaken, news, edits } = arrange(rows);
    for (const { row, by } of overtaken) await this.#withhold(row, `overtaken by ${by}`);
    const choice = this.#choose(news, now, rows.length === BATCH);
    if (choice.merge.length > 0) {
      await this.#merge(choice.merge, choice.kind, now);
      return 0;
    }
    for (const item of choice.send) if (!(await this.#sendNews(item, signal))) return this.#pause();
    for (const row of edits) if (!(await this.#sendEdit(row, signal))) return this.#pause();
    return Math.min(IDLE_MS, Math.max(0, choice.nextAt - clock.now()));
  }

  /** A channel that cannot edit is read by programs: everything, in order, at once. */
  async #deliverAll(rows: readonly OutboxRow[], signal: AbortSignal): Promise<number> {
    for (const row of rows) {
      if (row.notification.manner === 'count')
        await this.#withhold(row, 'counts are not sent where nothing can be edited');
      else if (!(await this.#deliver(row, row.notification, null, signal))) return this.#pause();
    }
    return rows.length === BATCH ? 0 : IDLE_MS;
  }

  /** What goes out by itself now, what is merged, and when to look again for what waits. */
  #choose(news: readonly NewsItem[], now: number, full: boolean): Choice {
    this.#newsAt = this.#newsAt.filter((at) => now - at < WINDOW_MS);
    // A full batch would hide what is behind it: everything in it is due.
    const due = news.filter((item) => full || this.#dueAt(item, now) <= now);
    const nextAt = Math.min(...news.filter((item) => !due.includes(item)).map((item) => this.#dueAt(item, now)));
    this.#asksAt = this.#asksAt.filter((at) => now - at < WINDOW_MS);
    const mayAsk = Math.min(ASKS_AT_ONCE, Math.max(0, ASKS - this.#asksAt.length));
    const asks = due.filter(({ content }) => isLiveAsk(content, now)).slice(0, mayAsk);
    const notices = due.filter(({ row }) => row.notification.severity === null && !isDigest(row));
    const plain = due.filter(
      (item) => isDigest(item.row) || isDoubtful(item.row) || (notices.length <= MERGE_OVER && notices.includes(item)),
    );
    const others = due.filter((item) => !asks.includes(item) && !plain.includes(item));
    const batched = others.filter(({ row }) => row.notification.urgency === 'batched');
    if (batched.length > 1) return { send: [], merge: batched, kind: 'periodic', nextAt };
    const outage = this.#wasOut(others, now);
    if (outage && others.length > 1) return { send: [], merge: others, kind: 'outage', nextAt };
    const room = BUDGET - this.#newsAt.length;
    const tooManyAsks = mayAsk < ASKS_AT_ONCE && others.some(({ content }) => isLiveAsk(content, now));
    if (others.length <= Math.min(MERGE_OVER, room) && !tooManyAsks)
      return { send: [...asks, ...plain, ...others], merge: [], kind: 'storm', nextAt };
    const critical = others.filter(({ content }) => isCritical(content) && !isLiveAsk(content, now));
    const alone = critical.length <= room + CRITICAL_EXTRA ? critical.slice(0, CRITICAL_EXTRA) : [];
    const rest = others.filter((item) => !alone.includes(item));
    const mergeAt = (this.#state?.talliedAt ?? 0) + DIGEST_GAP_MS;
    if (rest.length > 0 && mergeAt <= now) return { send: [], merge: rest, kind: 'storm', nextAt };
    return { send: [...asks, ...plain, ...alone], merge: [], kind: 'storm', nextAt: Math.min(nextAt, mergeAt) };
  }

  #dueAt({ row, content }: NewsItem, now: number): number {
    if (row.tries > 0) return 0;
    const { quietHours, digestIntervalMs } = this.#d.config;
    const quiet = isCritical(content) || isLiveAsk(content, now) ? null : quietUntil(quietHours, now);
    if (quiet !== null) return quiet;
    const { notification } = row;
    if (notification.urgency === 'batched') return nextMultiple(notification.at, digestIntervalMs);
    if (!isCardKey(notification)) return 0;
    return notification.at + (isCritical(content) ? HOLD_CRITICAL_MS : HOLD_MS);
  }

  #wasOut(items: readonly NewsItem[], now: number): boolean {
    const failing = this.#failingSince !== null && now - this.#failingSince > OUTAGE_MS;
    return failing || items.some(({ row }) => row.tries > 0 && now - row.notification.at > OUTAGE_MS);
  }

  async #merge(items: readonly NewsItem[], kind: DigestKind, now: number): Promise<void> {
    const state = this.#state ?? FRESH;
    const { tally, edits } = await this.#tallyFor(state, kind, now);
    const grown = addTo(
      tally,
      items.map((item) => item.content),
    );
    const notification = digestNotification(grown, { now, timezone: this.#d.timezone, edits });
    const rows = items.flatMap((item) => [item.row, ...item.with].map((row) => row.notification.id));
    await this.#save({ tally: grown, talliedAt: now, merging: { notification, rows } });
    await this.#finishMerge();
  }

  /** The digest that is still growing, or a new one. An unsent digest always grows. */
  async #tallyFor(
    { tally, talliedAt }: LaneState,
    kind: DigestKind,
    now: number,
  ): Promise<{ readonly tally: Tally; readonly edits: boolean }> {
    const sent = tally ? await this.#d.store.lastSent(this.#channel, tally.key) : null;
    const alive = tally && (!sent || (kind === 'storm' && tally.kind === 'storm' && now - talliedAt < DIGEST_LIFE_MS));
    // A long storm speaks up again now and then: edits make no sound.
    const loud = sent && now - sent.notification.at > 6 * DIGEST_LIFE_MS;
    if (!alive || loud) return { tally: newTally(kind, this.#channel, now), edits: false };
    return { tally: kind === 'outage' ? { ...tally, kind } : tally, edits: sent !== null };
  }

  /** Each line may be the last before a crash: the plan of the merge is stored, and doing it twice changes nothing. */
  async #finishMerge(): Promise<void> {
    const state = this.#state;
    if (!state?.merging) return;
    const { notification, rows } = state.merging;
    await this.#d.store.enqueue(notification, [this.#channel], false);
    for (const id of rows)
      await this.#d.store.updateOutbox({
        id,
        channel: this.#channel,
        state: 'withheld',
        tries: 0,
        notBefore: notification.at,
        externalId: null,
        error: `merged into ${notification.id}`,
      });
    await this.#save({ ...state, merging: null });
  }

  async #save(state: LaneState): Promise<void> {
    await this.#d.store.setValue(this.#key(), state);
    this.#state = state;
  }

  async #sendNews({ row, content, with: told }: NewsItem, signal: AbortSignal): Promise<boolean> {
    const last = await this.#d.store.lastSent(this.#channel, row.notification.key);
    if (last && last.notification.at > row.notification.at && last.notification.id !== row.notification.id) {
      await this.#withhold(row, `overtaken by ${last.notification.id}`);
      return true;
    }
    const now = this.#d.clock.now();
    const quiet = !isCritical(content) && quietUntil(this.#d.config.quietHours, now) !== null;
    const words = (await this.#lateWords(row, now)) ?? content;
    const said = quiet ? { ...words, silent: true } : words;
    if (!(await this.#deliver(row, said, null, signal))) return false;
    this.#newsAt.push(now);
    if (content.plan) this.#asksAt.push(now);
    for (const other of told) await this.#withhold(other, `told with ${row.notification.id}`);
    await this.#d.clock.sleep(PACE_MS, signal);
    return true;
  }

  /** A digest that could not be sent for long says so: its words were chosen before anybody knew. */
  async #lateWords(row: OutboxRow, now: number): Promise<Notification | null> {
    const tally = this.#state?.tally;
    if (!isDigest(row) || tally?.key !== row.notification.key) return null;
    const late = row.tries > 0 && now - row.notification.at > OUTAGE_MS;
    if (!late && tally.kind !== 'outage') return null;
    const found = await Promise.all(tally.incidents.map((id) => this.#d.store.incident(id)));
    const current = broughtUpToDate(
      tally,
      found.filter((incident) => incident !== null),
    );
    const words = digestNotification(current, { now, timezone: this.#d.timezone, edits: false });
    return { ...words, id: row.notification.id };
  }

  async #sendEdit(row: OutboxRow, signal: AbortSignal): Promise<boolean> {
    const last = await this.#d.store.lastSent(this.#channel, row.notification.key);
    if (!last?.externalId) {
      await this.#withhold(row, 'no message of its own stands to be edited');
      return true;
    }
    if (!(await this.#deliver(row, row.notification, last.externalId, signal))) return false;
    await this.#d.clock.sleep(PACE_MS, signal);
    return true;
  }

  /** One attempt. The doubt is stored before it, so that a crash in the middle is remembered. */
  async #deliver(
    row: OutboxRow,
    content: Notification,
    replaces: string | null,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (signal.aborted) return false;
    const { store, notifier, clock } = this.#d;
    const base = { id: row.notification.id, channel: this.#channel, tries: row.tries + 1, externalId: null };
    const lost = replaces === null && isDoubtful(row);
    if (replaces === null)
      await store.updateOutbox({ ...base, state: 'pending', notBefore: row.notBefore, error: `${DOUBT}sending` });
    const doubtful = lost ? { doubtful: { after: this.#newest ?? (await notifier.newest?.()) ?? null } } : {};
    const delivery = await this.#within(signal, (late) =>
      notifier.send(content, { replaces, signal: late, ...doubtful }),
    );
    switch (delivery.kind) {
      case 'sent':
        await store.updateOutbox({
          ...base,
          state: 'sent',
          notBefore: clock.now(),
          externalId: delivery.externalId,
          error: null,
        });
        this.#newest = newestOf([this.#newest, delivery.externalId]);
        this.#succeeded();
        return true;
      case 'rejected':
        await store.updateOutbox({ ...base, state: 'failed', notBefore: clock.now(), error: delivery.error });
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

  #succeeded(): void {
    this.#failures = 0;
    this.#failingSince = null;
  }

  #failed(afterMs: number | null, error: string): void {
    const now = this.#d.clock.now();
    const wait = afterMs ?? Math.min(BACK_OFF_MOST_MS, BACK_OFF_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 20);
    if (this.#failingSince === null)
      this.#d.problem('messages cannot be delivered for now; they are kept', {
        channel: this.#channel,
        error,
        retryMs: wait,
      });
    this.#failingSince ??= now;
    this.#notBefore = now + wait;
  }

  #pause(): number {
    return Math.max(0, this.#notBefore - this.#d.clock.now());
  }

  async #withhold(row: OutboxRow, reason: string): Promise<void> {
    const { channel, tries, notBefore, externalId } = row;
    const id = row.notification.id;
    await this.#d.store.updateOutbox({ id, channel, tries, notBefore, externalId, state: 'withheld', error: reason });
  }

  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    const woken = this.#woken;
    this.#woken = false;
    if (ms <= 0 || woken || signal.aborted) return;
    const nap = new AbortController();
    const end = () => nap.abort();
    signal.addEventListener('abort', end, { once: true });
    this.#wake = end;
    await this.#d.clock.sleep(ms, nap.signal);
    this.#wake = () => {};
    signal.removeEventListener('abort', end);
  }
}

/** The next moment of a grid of `step`, strictly after `at`. */
function nextMultiple(at: number, step: number): number {
  return step <= 0 ? at : (Math.floor(at / step) + 1) * step;
}

/** Message numbers grow; other ids are compared by their order of arrival. */
function newestOf(ids: readonly (string | null)[]): string | null {
  let newest: string | null = null;
  for (const id of ids) if (id !== null && (newest === null || Number(id) > Number(newest))) newest = id;
  return newest;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
