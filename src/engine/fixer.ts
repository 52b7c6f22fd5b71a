// AutoFixer decides whose turn it is: what was begun is finished first, wishes of people come next, then whoever is due.
// It goes on for ever, whatever fails. How one incident is moved on stands in healing.ts.

import type { Incident, IncidentStateName } from '../core/incident.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Store } from '../store/contract.ts';
import { BEGUN, Healing, type HealingDeps } from './healing.ts';
import { summarise, type FixSummary } from './ledger.ts';
import type { ConsiderOptions } from './planner.ts';
import { Turns } from './turns.ts';

export type { Hands, HandsAnswer, HandsVerb, HealingChange } from './healing.ts';

export interface AutoFixerDeps extends HealingDeps {
  /** Called when something that should work does not, e.g. the store. Must not throw. Default: nobody hears of it. */
  readonly problem?: (message: string, error: unknown) => void;
}

type Wish = Awaited<ReturnType<Store['takeRequests']>>[number];

/** The loop itself, among those that rest. */
const LOOP = 'loop';
const WAITING: readonly IncidentStateName[] = ['open', 'awaiting-approval', 'silenced'];
/** How often plans that a dead *hands* left open, and forgotten problems, are looked for. */
const ROUND_MS = 30_000;
/** Looked at anyway this often: decisions and repeats ring, but a bell can fail. */
const IDLE_MS = 2_000;
const BUSY_MS = 250;

export class AutoFixer {
  readonly #deps: AutoFixerDeps;
  readonly #turns: Turns;
  readonly #healing: Healing;
  /** Wishes that wait for their service. */
  #wishes: Wish[] = [];
  #roundAt = 0;
  #wake: () => void = () => {};
  #woken = false;

  constructor(deps: AutoFixerDeps) {
    this.#deps = deps;
    this.#turns = new Turns(deps.clock);
    this.#healing = new Healing(deps, this.#turns);
  }

  /** Something may have changed: look at once instead of at the next tick. */
  wake(): void {
    this.#woken = true;
    this.#wake();
  }

  /** What auto-fix has done on this host so far. */
  async getFixSummary(): Promise<FixSummary> {
    return summarise(await this.#deps.store.ledger({}));
  }

  /**
   * Works until the signal aborts: finishes what a dead process left behind, then every incident that is due. A store
   * that fails (a full disk, say) is waited for; healing never ends because of it.
   */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#round(signal);
        await this.#takeWishes(signal);
        await this.#rest(await this.#sweep(signal), signal);
        this.#turns.rested(LOOP);
      } catch (error) {
        this.#deps.problem?.('healing could not go on and tries again', error);
        this.#turns.rest(LOOP);
        await this.#deps.clock.sleep(this.#turns.restsUntil(LOOP) - this.#deps.clock.now(), signal);
      }
    }
    await this.#turns.settled();
  }

  /** Finishes or undoes plans whose *hands* died, one after the other. */
  async recover(signal: AbortSignal): Promise<void> {
    for (const open of await this.#healing.openPlans()) await this.#healing.takeUp(open, signal);
  }

  /** As far as one incident can go now: see `Healing.step`. */
  step(id: string, signal: AbortSignal, options: ConsiderOptions = {}): Promise<Incident | null> {
    return this.#healing.step(id, signal, options);
  }

  /** Takes back what was done for an incident, on a person's word: see `Healing.rollBack`. */
  rollBack(id: string, by: string, signal: AbortSignal): Promise<Outcome | null> {
    return this.#healing.rollBack(id, by, signal);
  }

  async #takeUpForsaken(signal: AbortSignal): Promise<void> {
    for (const open of await this.#healing.openPlans()) {
      if (this.#turns.isRunning(open.incident.service)) continue;
      this.#start(open.incident, () => this.#healing.takeUp(open, signal));
    }
  }

  /** Now and then: what nobody else would come back to. The first time nothing else begins before it. */
  async #round(signal: AbortSignal): Promise<void> {
    const now = this.#deps.clock.now();
    if (now < this.#roundAt) return;
    if (this.#roundAt === 0) await this.recover(signal);
    else await this.#takeUpForsaken(signal);
    await this.#healing.closeForgotten();
    this.#roundAt = now + ROUND_MS;
  }

  /**
   * Starts what is due, and returns how long nothing else will be. What was begun is finished first, then whoever has
   * waited longest: nobody who asks again and again keeps the others of its service waiting.
   */
  async #sweep(signal: AbortSignal): Promise<number> {
    const { store, clock } = this.#deps;
    let restMs = this.#wishes.length > 0 ? BUSY_MS : IDLE_MS;
    const [begun, waiting] = await Promise.all([
      store.incidents({ states: BEGUN }),
      store.incidents({ states: WAITING, limit: 1_000 }),
    ]);
    for (const { incident, dueAt } of [...(await this.#byTurn(begun)), ...(await this.#byTurn(waiting))]) {
      const dueInMs = Math.max(dueAt, this.#turns.restsUntil(incident.id)) - clock.now();
      if (dueInMs > 0) restMs = Math.min(restMs, dueInMs);
      else if (this.#turns.isRunning(incident.service)) continue;
      else if (signal.aborted || this.#turns.full) break;
      else this.#start(incident, () => this.step(incident.id, signal));
    }
    return this.#turns.busy ? Math.min(restMs, BUSY_MS) : restMs;
  }

  async #byTurn(incidents: readonly Incident[]): Promise<readonly { incident: Incident; dueAt: number }[]> {
    const due = await Promise.all(
      incidents.map(async (incident) => ({ incident, dueAt: await this.#dueAt(incident) })),
    );
    return due.sort((a, b) => a.dueAt - b.dueAt);
  }

  /** When the incident can be moved on, epoch milliseconds; 0 is at once. */
  async #dueAt({ state, lastSeen }: Incident): Promise<number> {
    switch (state.name) {
      case 'open':
        return state.notBefore;
      case 'silenced':
        return state.until;
      case 'awaiting-approval':
        return (await this.#deps.store.approval(state.plan)) ? 0 : state.until;
      case 'verifying':
        return lastSeen > state.since ? 0 : state.quietUntil;
      default:
        return 0;
    }
  }

  #start({ id, service }: Incident, work: () => Promise<unknown>): void {
    this.#turns.start(service, work, (error) => {
      if (error) {
        this.#deps.problem?.(`incident ${id} could not be moved on; it is tried again`, error);
        this.#turns.rest(id);
      }
      this.wake();
    });
  }

  /** Sleeps until something is due or somebody wakes us: a change of our own, or another process at the door. */
  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#woken || signal.aborted) {
      this.#woken = false;
      return;
    }
    const nap = new AbortController();
    const end = () => nap.abort();
    signal.addEventListener('abort', end, { once: true });
    this.#wake = end;
    await this.#deps.clock.sleep(ms, nap.signal);
    this.#wake = () => {};
    this.#woken = false;
    signal.removeEventListener('abort', end);
  }

  /** What people asked for goes first, each when its service is free: nobody else waits for it. */
  async #takeWishes(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#deps;
    this.#wishes.push(...(await store.takeRequests(['fix', 'rollback'])));
    const later: Wish[] = [];
    for (const wish of this.#wishes) {
      const incident = await store.incident(wish.subject);
      if (!incident) continue;
      const rests = this.#turns.restsUntil(incident.service) > clock.now();
      if (rests || this.#turns.isRunning(incident.service)) later.push(wish);
      else this.#start(incident, () => this.#grant(wish, incident, signal));
    }
    this.#wishes = later;
  }

  async #grant(wish: Wish, { id, service }: Incident, signal: AbortSignal): Promise<void> {
    if (wish.kind === 'fix') return void (await this.step(id, signal, { requestedByPerson: true }));
    await this.rollBack(id, wish.by, signal);
    // *hands* was busy with it: the wish stands.
    if (this.#turns.restsUntil(service) > this.#deps.clock.now()) this.#wishes.push(wish);
  }
}
