// What is told by the calendar: that nobody watched for a while, and once a day that all is quiet, so that silence is
// never mistaken for health.

import type { Config } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import type { Incident } from '../core/incident.ts';
import type { Store } from '../store/contract.ts';
import { dayOf, spanText } from './card-lines.ts';
import type { Notice } from './notice.ts';
import { minuteNow } from './quiet-hours.ts';

export interface DaysDeps {
  readonly store: Pick<Store, 'value' | 'setValue' | 'swapValue' | 'incidents' | 'outbox'>;
  readonly config: Pick<Config, 'node' | 'quietHours'>;
  readonly clock: Clock;
  readonly timezone: string;
  readonly notice: (notice: Notice) => Promise<void>;
  /** What was told about this incident need not be kept. */
  readonly forget: (incident: string) => Promise<void>;
}

const ALIVE_EVERY_MS = 60_000;
const GONE_MS = 900_000;
const LONG_OVER_MS = 2 * 86_400_000;
const LIMIT = 20_000;
/** Minute of the day of the all-quiet line when no quiet hours say otherwise: 09:00. */
const DAILY_MIN = 540;

export class Days {
  readonly #d: DaysDeps;
  #aliveAt = 0;

  constructor(deps: DaysDeps) {
    this.#d = deps;
  }

  /** After a longer absence people are told how long nobody watched. */
  async arrive(): Promise<void> {
    const { store, clock, config, timezone } = this.#d;
    const now = clock.now();
    const seen = await store.value<number>('telling/alive');
    await store.setValue('telling/alive', now);
    this.#aliveAt = now;
    // The first daily line comes after the first whole day.
    await store.swapValue('telling/daily', null, { day: dayOf(now, timezone), since: now });
    if (seen === null || now - seen < GONE_MS) return;
    await this.#d.notice({
      key: `back:${now}`,
      severity: null,
      title: `👋 ${config.node}: selfheal is back`,
      body: `Nobody watched for ${spanText(now - seen)}.`,
      urgency: 'now',
      reason: 'selfheal was away: at once',
    });
  }

  async stayAlive(): Promise<void> {
    const now = this.#d.clock.now();
    if (now - this.#aliveAt < ALIVE_EVERY_MS) return;
    this.#aliveAt = now;
    await this.#d.store.setValue('telling/alive', now);
  }

  async sayAllQuiet(): Promise<void> {
    const { store, clock, config, timezone } = this.#d;
    const now = clock.now();
    const today = dayOf(now, timezone);
    const last = await store.value<{ readonly day: string; readonly since: number }>('telling/daily');
    if (last === null) return;
    const due = config.quietHours ? minutesOf(config.quietHours.to) : DAILY_MIN;
    if (last.day === today || minuteNow(now, timezone) < due) return;
    await store.setValue('telling/daily', { day: today, since: now });
    await this.#forgetOld();
    const busy = (await store.outbox({ since: last.since, limit: 500 })).some(
      ({ notification }) => notification.incident !== null && notification.urgency !== 'none',
    );
    if (busy) return;
    const open = await store.incidents({ states: ['open', 'awaiting-approval', 'needs-human'], limit: 1_000 });
    const silenced = await store.incidents({ states: ['silenced'], limit: 1_000 });
    await this.#d.notice({
      key: 'daily',
      edition: today,
      severity: null,
      title: `🩺 ${config.node}: all quiet`,
      body: quietText(open.length, silenced.length),
      urgency: 'now',
      reason: 'daily line: nothing was sent for a day',
    });
  }

  /** What was told about problems that are long over need not be kept: one that comes back gets a new card. */
  async #forgetOld(): Promise<void> {
    const { store, clock } = this.#d;
    for (const incident of await store.incidents({ states: ['resolved'], limit: LIMIT }))
      if (isLongOver(incident, clock.now())) await this.#d.forget(incident.id);
  }
}

export function isLongOver({ state }: Incident, now: number): boolean {
  return state.name === 'resolved' && now - state.at > LONG_OVER_MS;
}

function quietText(open: number, silenced: number): string {
  if (open + silenced === 0) return 'Nothing open, nothing to do.';
  const counts = [open > 0 ? `${open} still open` : null, silenced > 0 ? `${silenced} silenced` : null];
  return `Nothing new; ${counts.filter((count) => count !== null).join(', ')} ("incidents").`;
}

function minutesOf(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number);
  return hours * 60 + minutes;
}
