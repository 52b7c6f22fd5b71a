// Telling: what happened to incidents becomes messages in the outbox, and the outbox is worked off,
// one lane per channel. What was told is stored, so a restart neither repeats nor forgets.

import { createHash } from 'node:crypto';
import type { Config } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import type { Incident, IncidentStateName } from '../core/incident.ts';
import type { Notification } from '../core/notification.ts';
import type { Notifier } from '../notifiers/contract.ts';
import type { Store } from '../store/contract.ts';
import type { CardFacts } from './cards.ts';
import { Lane, type LaneStore } from './lane.ts';
import { hostCommands } from './host-commands.ts';
import { countDraft, isChange, newsOf, type Draft, type Told } from './news.ts';
import type { Notice } from './notice.ts';
import { Days, isLongOver } from './telling-days.ts';

export type { Notice } from './notice.ts';

export type TellingStore = LaneStore & Pick<Store, 'incident' | 'incidents' | 'plan' | 'approval' | 'swapValue'>;

export interface TellingDeps {
  readonly store: TellingStore;
  readonly notifiers: readonly Notifier[];
  readonly config: Pick<
    Config,
    'node' | 'notifyOnFix' | 'notifyOnCritical' | 'quietHours' | 'digestIntervalMs' | 'maxAutoFixAttempts' | 'services'
  >;
  readonly clock: Clock;
  /** The operator's log: a fixed sentence and fields. Default: silent. */
  readonly log?: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

export interface Telling {
  /**
   * Takes in an incident as it is stored now and returns at once: the store remembers it for us, and what a crash
   * interrupts is told at the next start. Call it after every stored change, as often as you like: the same revision
   * tells nothing twice, and of several changes in a moment the last one counts. Never rejects.
   */
  told(incident: Incident): Promise<void>;
  /** Stores other news. Never rejects. */
  notice(notice: Notice): Promise<void>;
  /** Delivers until the signal aborts; first tells what a former process left untold. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

const SWEEP_MS = 10_000;
/** After the signal to stop, changes are taken in this long. */
const LAST_WORDS_MS = 1_000;
/** Incidents told in a row before anything else may run. */
const BREATH = 10;
/** Counts are edited at most this often, more seldom the longer a problem lasts. */
const COUNT_EVERY_MS = 20_000;
const COUNT_SELDOM_MS = 600_000;
/** Incidents kept in memory; the others are read from the store again. */
const KNOWN_CAP = 5_000;
/** Looked at when starting: incidents that changed within this time may be untold. */
const CATCH_UP_MS = 7 * 86_400_000;
const UNFINISHED: readonly IncidentStateName[] = ['open', 'awaiting-approval', 'healing', 'verifying', 'needs-human'];
const CATCH_UP_LIMIT = 20_000;

/**
 * @example
 * const telling = createTelling({ store, notifiers: [createConsoleNotifier(process.stderr)], config, clock });
 * void telling.run(signal);
 * await telling.told(incident);
 */
export function createTelling(deps: TellingDeps): Telling {
  return new StoredTelling(deps);
}

class StoredTelling implements Telling {
  readonly #d: TellingDeps;
  readonly #lanes: readonly Lane[];
  readonly #timezone: string;
  readonly #days: Days;
  readonly #known = new Map<string, Told>();
  /** Incidents whose count alone has changed, with the time of the last edit. */
  readonly #counts = new Map<string, { at: number; dirty: boolean }>();
  /** Changed and not yet told, in their newest form. */
  readonly #waiting = new Map<string, Incident>();
  /** Incidents the store refused to tell about. */
  readonly #missed = new Set<string>();
  #queue: Promise<void> = Promise.resolve();
  #tellUntil = Infinity;

  constructor(deps: TellingDeps) {
    this.#d = deps;
    this.#timezone = deps.config.quietHours?.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
    this.#days = new Days({
      ...deps,
      timezone: this.#timezone,
      notice: (notice) => this.#notice(notice),
      forget: (incident) => this.#forget(incident),
    });
    this.#lanes = deps.notifiers.map(
      (notifier) =>
        new Lane({
          store: deps.store,
          notifier,
          config: deps.config,
          timezone: this.#timezone,
          clock: deps.clock,
          problem: (message, fields) => deps.log?.(message, fields),
        }),
    );
  }

  async told(incident: Incident): Promise<void> {
    const waiting = this.#waiting.get(incident.id);
    if (waiting && waiting.revision > incident.revision) return;
    this.#waiting.set(incident.id, incident);
    if (this.#waiting.size === 1) void this.#inTurn(() => this.#tellWaiting());
  }

  notice(notice: Notice): Promise<void> {
    return this.#inTurn(() => this.#notice(notice));
  }

  async run(signal: AbortSignal): Promise<void> {
    const lanes = this.#lanes.map((lane) => lane.run(signal));
    await this.#inTurn(() => this.#days.arrive());
    await this.#inTurn(() => this.#catchUp());
    while (!signal.aborted) {
      await this.#d.clock.sleep(SWEEP_MS, signal);
      if (!signal.aborted) await this.#sweep();
    }
    // What is still waiting is in the store as well: the next start tells it.
    this.#tellUntil = this.#d.clock.monotonic() + LAST_WORDS_MS;
    await Promise.all([...lanes, this.#queue]);
  }

  /** One after the other: two changes of one incident must be told in their order. Never rejects. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(work).catch((error: unknown) => {
      this.#d.log?.('a message could not be stored; it is told later', { error: nameOf(error) });
    });
    return this.#queue;
  }

  async #tellWaiting(): Promise<void> {
    for (let count = 1; this.#waiting.size > 0 && this.#d.clock.monotonic() < this.#tellUntil; count++) {
      const [id, incident] = this.#waiting.entries().next().value as [string, Incident];
      try {
        await this.#tell(incident);
      } catch (error) {
        this.#missed.add(id);
        this.#d.log?.('an incident could not be told; it is told later', { incident: id, error: nameOf(error) });
      }
      // A newer form may have come meanwhile: then this one goes round again.
      if (this.#waiting.get(id) === incident) this.#waiting.delete(id);
      // The store answers without ever leaving this turn of the loop: let others have theirs.
      if (count % BREATH === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #tell(incident: Incident): Promise<void> {
    const told = await this.#toldOf(incident.id);
    if (told && told.revision > incident.revision) return;
    if (!isChange(told, incident)) {
      if (told?.count !== incident.count) this.#counted(incident.id);
      return;
    }
    const { drafts, told: next } = newsOf(told, await this.#facts(incident), this.#d.config);
    await this.#store(drafts);
    await this.#d.store.setValue(valueKey(incident.id), next);
    this.#remember(incident.id, next);
    this.#counts.delete(incident.id);
    this.#missed.delete(incident.id);
  }

  async #facts(incident: Incident): Promise<CardFacts> {
    const { store, clock, config } = this.#d;
    const plan = incident.plan ? await store.plan(incident.plan) : null;
    const approval = incident.plan ? await store.approval(incident.plan) : null;
    return {
      incident,
      plan,
      approval,
      maxAttempts: config.maxAutoFixAttempts,
      next: hostCommands(incident, config.services.find(({ name }) => name === incident.service) ?? null),
      now: clock.now(),
      timezone: this.#timezone,
    };
  }

  async #store(drafts: readonly Draft[]): Promise<void> {
    const channels = this.#d.notifiers.map((notifier) => notifier.name);
    for (const { notification, withheld } of drafts) await this.#d.store.enqueue(notification, channels, withheld);
    if (drafts.length > 0) for (const lane of this.#lanes) lane.wake();
  }

  async #notice(notice: Notice): Promise<void> {
    const { urgency, edition = digest(`${notice.title}\n${notice.body}`), ...rest } = notice;
    const at = this.#d.clock.now();
    const id = `${notice.key}#${edition}`;
    const notification: Notification = {
      ...rest,
      urgency,
      id,
      incident: null,
      buttons: [],
      plan: null,
      at,
      manner: 'news',
    };
    await this.#store([{ notification, withheld: urgency === 'none' }]);
  }

  async #toldOf(id: string): Promise<Told | null> {
    const known = this.#known.get(id);
    if (known) return known;
    const stored = await this.#d.store.value<Told>(valueKey(id));
    if (stored) this.#remember(id, stored);
    return stored;
  }

  #remember(id: string, told: Told): void {
    this.#known.delete(id);
    this.#known.set(id, told);
    if (this.#known.size > KNOWN_CAP) this.#known.delete(this.#known.keys().next().value as string);
  }

  #counted(id: string): void {
    const count = this.#counts.get(id);
    if (count) count.dirty = true;
    else this.#counts.set(id, { at: this.#d.clock.now(), dirty: true });
  }

  // ---------------------------------------------------------------- now and then

  async #sweep(): Promise<void> {
    for (const id of [...this.#missed]) await this.#retell(id);
    await this.#inTurn(() => this.#editCounts());
    await this.#inTurn(() => this.#days.stayAlive());
    await this.#inTurn(() => this.#days.sayAllQuiet());
  }

  async #retell(id: string): Promise<void> {
    this.#missed.delete(id);
    const incident = await this.#d.store.incident(id).catch(() => this.#missed.add(id) && null);
    if (incident) await this.told(incident);
  }

  /** What a former process stored and did not live to tell. */
  async #catchUp(): Promise<void> {
    const now = this.#d.clock.now();
    const limit = CATCH_UP_LIMIT;
    const unfinished = await this.#d.store.incidents({ states: UNFINISHED, limit });
    const recent = await this.#d.store.incidents({ since: now - CATCH_UP_MS, states: ['resolved'], limit });
    for (const incident of [...unfinished, ...recent]) if (!isLongOver(incident, now)) await this.told(incident);
  }

  /** What was told about it need not be kept any more. */
  async #forget(incident: string): Promise<void> {
    if ((await this.#d.store.value(valueKey(incident))) !== null)
      await this.#d.store.setValue(valueKey(incident), null);
    this.#known.delete(incident);
  }

  async #editCounts(): Promise<void> {
    const now = this.#d.clock.now();
    for (const [id, count] of this.#counts) {
      if (!count.dirty) {
        if (now - count.at > COUNT_SELDOM_MS) this.#counts.delete(id);
        continue;
      }
      if (now - count.at < COUNT_EVERY_MS) continue;
      const incident = await this.#d.store.incident(id);
      const told = await this.#toldOf(id);
      if (!incident || !told || now - count.at < countPause(incident)) continue;
      this.#counts.set(id, { at: now, dirty: false });
      if (await this.#stands(told.card)) await this.#store([countDraft(told, await this.#facts(incident))]);
    }
  }

  /** Is there a message to edit? Otherwise ten thousand quiet problems would fill the outbox with nothing. */
  async #stands(key: string): Promise<boolean> {
    for (const notifier of this.#d.notifiers)
      if (notifier.edits && (await this.#d.store.lastSent(notifier.name, key))) return true;
    return false;
  }
}

function countPause(incident: Incident): number {
  const age = incident.lastSeen - incident.firstSeen;
  return Math.min(COUNT_SELDOM_MS, Math.max(COUNT_EVERY_MS, age / 10));
}

function valueKey(incident: string): string {
  return `told/${incident}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function nameOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
