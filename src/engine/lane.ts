// The delivery of one channel: takes rows out of the outbox, drops what was overtaken, merges what is
// too much, sends the rest one by one, and writes down what became of each. Crash-safe at every line.

import type { Config } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import type { Notification } from '../core/notification.ts';
import type { Notifier } from '../notifiers/contract.ts';
import type { OutboxRow, Store } from '../store/contract.ts';
import { arrange, HELLO, isCritical, isDigest, isNews, type NewsItem } from './arrange.ts';
import { addTo, broughtUpToDate, digestNotification, newTally, type DigestKind, type Tally } from './digest.ts';
import { Attempts } from './lane-attempt.ts';
import { choose, OUTAGE_MS, recent } from './lane-choice.ts';
import { quietUntil } from './quiet-hours.ts';

export type LaneStore = Pick<
  Store,
  'enqueue' | 'dueOutbox' | 'updateOutbox' | 'lastSent' | 'outbox' | 'value' | 'setValue' | 'incident'
>;

export interface LaneDeps {
  readonly store: LaneStore;
  readonly notifier: Notifier;
  readonly config: Pick<Config, 'node' | 'quietHours' | 'digestIntervalMs'>;
  readonly timezone: string;
  readonly clock: Clock;
  /** Told to the operator's log: a fixed sentence and fields, no secrets. */
  readonly problem: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Between two calls of a channel that people read: Telegram bears about one message a second in a chat. */
const PACE_MS = 1_000;
/** A storm's digest begins anew this long after its last edit. */
const DIGEST_LIFE_MS = 600_000;
const BACK_OFF_MS = 1_000;
/** What comes within this time is looked at together: each look reads all that waits. */
const GATHER_MS = 200;
const IDLE_MS = 5_000;
const BATCH = 1_000;

interface LaneState {
  readonly tally: Tally | null;
  readonly talliedAt: number;
  /** A merge under way: finished first after a restart. */
  readonly merging: { readonly notification: Notification; readonly rows: readonly string[] } | null;
}

const FRESH: LaneState = { tally: null, talliedAt: 0, merging: null };

export class Lane {
  readonly #d: LaneDeps;
  readonly #channel: string;
  readonly #attempts: Attempts;
  #state: LaneState | null = null;
  #newsAt: readonly number[] = [];
  #asksAt: readonly number[] = [];
  #woken = false;
  #wake: () => void = () => {};

  constructor(deps: LaneDeps) {
    this.#d = deps;
    this.#channel = deps.notifier.name;
    this.#attempts = new Attempts(deps);
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
    const { store } = this.#d;
    const rows = await store.outbox({ limit: 500 });
    const sent = rows.filter((row) => row.channel === this.#channel && row.state === 'sent');
    const news = sent.filter(isNews);
    this.#newsAt = news.map((row) => row.notification.at);
    this.#asksAt = news.filter((row) => row.notification.plan !== null).map((row) => row.notification.at);
    this.#attempts.remember(sent.map((row) => row.externalId));
    await this.#sayHello(sent.length);
    return (await store.value<LaneState>(this.#key())) ?? FRESH;
  }

  /**
   * Where a lost message can be looked for, the very first one cannot: nothing is known that came before it. So it is
   * one that may come twice without harm, and shows the owner that the way is open.
   */
  async #sayHello(sent: number): Promise<void> {
    const { notifier, store, config, clock } = this.#d;
    if (sent > 0 || !notifier.newest || (await notifier.newest()) !== null) return;
    await store.enqueue(helloFrom(config.node, this.#channel, clock.now()), [this.#channel], false);
  }

  #key(): string {
    return `outbox/${this.#channel}`;
  }

  /** One look at the outbox. Returns how long nothing needs to be looked at. */
  async #turn(signal: AbortSignal): Promise<number> {
    const { store, clock, notifier } = this.#d;
    if (this.#state?.merging) await this.#finishMerge();
    const now = clock.now();
    if (now < this.#attempts.notBefore) return this.#pause();
    const rows = await store.dueOutbox(this.#channel, now, BATCH);
    if (!notifier.edits) return this.#deliverAll(rows, signal);
    const { overtaken, news, edits } = arrange(rows);
    for (const { row, by } of overtaken) await this.#withhold(row, `overtaken by ${by}`);
    this.#newsAt = recent(this.#newsAt, now);
    this.#asksAt = recent(this.#asksAt, now);
    const choice = choose(news, {
      now,
      full: rows.length === BATCH,
      newsAt: this.#newsAt,
      asksAt: this.#asksAt,
      mergedAt: this.#state?.talliedAt ?? 0,
      failingSince: this.#attempts.failingSince,
      config: this.#d.config,
    });
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
      else if (!(await this.#attempts.deliver(row, row.notification, null, signal))) return this.#pause();
    }
    return rows.length === BATCH ? 0 : IDLE_MS;
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
    if (!(await this.#attempts.deliver(row, said, null, signal))) return false;
    this.#newsAt = [...this.#newsAt, now];
    if (content.plan) this.#asksAt = [...this.#asksAt, now];
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
    if (!(await this.#attempts.deliver(row, row.notification, last.externalId, signal))) return false;
    await this.#d.clock.sleep(PACE_MS, signal);
    return true;
  }

  #pause(): number {
    return Math.max(0, this.#attempts.notBefore - this.#d.clock.now());
  }

  async #withhold(row: OutboxRow, reason: string): Promise<void> {
    const { channel, tries, notBefore, externalId } = row;
    const id = row.notification.id;
    await this.#d.store.updateOutbox({ id, channel, tries, notBefore, externalId, state: 'withheld', error: reason });
  }

  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    const woken = this.#woken;
    this.#woken = false;
    if (ms <= 0 || signal.aborted) return;
    const nap = new AbortController();
    const end = () => nap.abort();
    signal.addEventListener('abort', end, { once: true });
    this.#wake = end;
    if (!woken) await this.#d.clock.sleep(ms, nap.signal);
    if (woken || this.#woken) await this.#d.clock.sleep(Math.min(ms, GATHER_MS), signal);
    this.#woken = false;
    this.#wake = () => {};
    signal.removeEventListener('abort', end);
  }
}

function helloFrom(node: string, channel: string, at: number): Notification {
  return {
    id: `${HELLO}:${channel}`,
    key: `${HELLO}:${channel}`,
    incident: null,
    urgency: 'now',
    severity: null,
    reason: 'the first message ever: at once',
    title: `👋 ${node}: selfheal watches from now on`,
    body: [
      'You hear from me here when something breaks, when I need your word, and once a day when all is quiet.',
      'Send "help" for what I understand.',
    ].join('\n'),
    buttons: [],
    plan: null,
    at,
  };
}

function nameOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
