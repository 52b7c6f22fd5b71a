// AutoFixer carries incidents from state to state: it asks the planner, hands frozen plans to
// *hands*, waits out the settle time and believes nothing but proof. Every transition is stored
// before its side effect, so a restarted process knows what to do next.

import type { Config } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import {
  advance,
  type Incident,
  type IncidentEvent,
  type IncidentState,
  type IncidentStateName,
} from '../core/incident.ts';
import type { Evidence, Outcome } from '../core/outcome.ts';
import type { Plan } from '../core/plan.ts';
import type { ErrorType } from '../core/words.ts';
import { VALUE_KEYS, type Store } from '../store/contract.ts';
import type { Considered, ConsiderOptions, Planner } from './planner.ts';
import { summarise, type FixSummary } from './ledger.ts';

/** What came back from the process that acts. */
export type HandsAnswer =
  /** All steps are done and all checks passed; the settle time decides. */
  | { readonly kind: 'acted'; readonly evidence: readonly Evidence[] }
  | { readonly kind: 'finished'; readonly outcome: Outcome }
  /** Nothing was tried and nothing touched: everything is paused, or somebody else holds what it needs. */
  | { readonly kind: 'put-off'; readonly reason: string }
  /** Another hands is at this plan, alive. */
  | { readonly kind: 'busy' }
  /** It ended without an answer. Its journal says how far it came. */
  | { readonly kind: 'died'; readonly reason: string };

export type HandsVerb = 'act' | 'verify' | 'undo' | 'recover';

/** Starts *hands* for one plan. Given in, so that the engine never starts a process itself. */
export type Hands = (plan: string, verb: HandsVerb, signal: AbortSignal) => Promise<HandsAnswer>;

/** A change that people may have to hear of. */
export interface HealingChange {
  readonly kind: IncidentEvent['kind'];
  readonly incident: Incident;
  readonly plan: Plan | null;
}

export interface AutoFixerDeps {
  readonly config: Config;
  readonly store: Store;
  readonly planner: Planner;
  readonly hands: Hands;
  readonly clock: Clock;
  /** This process, as pid:startTicks. */
  readonly owner: string;
  /** Called after each stored change. Must not throw. */
  readonly changed: (change: HealingChange) => void | Promise<void>;
}

type Verifying = Extract<IncidentState, { name: 'verifying' }>;

/** Types that come and go with the other side: they may end by themselves without a fix. */
const TRANSIENT: ReadonlySet<ErrorType> = new Set(['rate_limit', 'api_error', 'timeout', 'provider_overloaded']);
/** A transient problem that stayed away this long is over: ten minutes. */
const OVER_AFTER_MS = 600_000;
const LEASE_MS = 1_800_000;
const RETRY_MS = 20_000;
/** What could not be tried is tried again this much later. */
const PUT_OFF_MS = 5_000;
const TRIES_TO_SAVE = 8;
const WORKING: readonly IncidentStateName[] = ['open', 'awaiting-approval', 'healing', 'verifying', 'silenced'];
const AT_ONCE = 2;
/** Looked at anyway this often: decisions and repeats ring, but a bell can fail. */
const IDLE_MS = 2_000;
const BUSY_MS = 250;

export class AutoFixer {
  readonly #deps: AutoFixerDeps;
  readonly #running = new Map<string, Promise<void>>();
  #wake: () => void = () => {};
  #woken = false;

  constructor(deps: AutoFixerDeps) {
    this.#deps = deps;
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

  /** Works until the signal aborts: finishes what a dead process left behind, then every incident that is due. */
  async run(signal: AbortSignal): Promise<void> {
    await this.recover(signal);
    while (!signal.aborted) {
      await this.#serveRequests(signal);
      await this.#rest(await this.#sweep(signal), signal);
    }
    await Promise.allSettled(this.#running.values());
  }

  /** Finishes or undoes plans whose *hands* died with us. */
  async recover(signal: AbortSignal): Promise<void> {
    for (const id of await this.#deps.store.openPlans()) {
      const plan = await this.#deps.store.plan(id);
      const incident = plan && (await this.#deps.store.incident(plan.incident));
      if (!plan || !incident || incident.state.name === 'verifying') continue;
      await this.#absorb(incident, plan, await this.#deps.hands(id, 'recover', signal));
    }
  }

  /**
   * Moves one incident as far as it can go now. With `requestedByPerson`, cool-downs and budgets do not hold;
   * policy, checks and undo do.
   */
  async step(id: string, signal: AbortSignal, options: ConsiderOptions = {}): Promise<Incident | null> {
    const incident = await this.#deps.store.incident(id);
    if (!incident) return null;
    const now = this.#deps.clock.now();
    switch (incident.state.name) {
      case 'open':
        if (incident.state.notBefore <= now || options.requestedByPerson)
          await this.#consider(incident, signal, options);
        break;
      case 'needs-human':
      case 'resolved':
        if (options.requestedByPerson) await this.#consider(incident, signal, options);
        break;
      case 'awaiting-approval':
        await this.#awaitDecision(incident, incident.state.plan, incident.state.until, signal);
        break;
      case 'healing':
        await this.#resume(incident, incident.state.plan, signal);
        break;
      case 'verifying':
        await this.#verify(incident, incident.state, signal);
        break;
      case 'silenced':
        if (incident.state.until <= now) await this.#change(id, { kind: 'unsilenced', at: now }, null);
        break;
    }
    return this.#deps.store.incident(id);
  }

  /** Takes back the last plan of an incident, on a person's word. */
  async rollBack(id: string, by: string, signal: AbortSignal): Promise<Outcome | null> {
    const incident = await this.#deps.store.incident(id);
    const plan = incident?.plan ? await this.#deps.store.plan(incident.plan) : null;
    if (!incident || !plan) return null;
    const answer = await this.#deps.hands(plan.id, 'undo', signal);
    if (answer.kind !== 'finished') return null;
    const outcome = { ...answer.outcome, undoneBy: by, reason: `${answer.outcome.reason} (asked by ${by})` };
    await this.#finish(incident, plan, outcome, null);
    return outcome;
  }

  /**
   * Starts what is due, and returns how long nothing else will be. What was begun is finished first, then whoever has
   * waited longest: nobody who asks again and again keeps the others of its service waiting.
   */
  async #sweep(signal: AbortSignal): Promise<number> {
    const { store, clock } = this.#deps;
    let restMs = IDLE_MS;
    const waiting = await Promise.all(
      (await store.incidents({ states: WORKING, limit: 1_000 })).map(async (incident) => {
        const begun = incident.state.name === 'healing' || incident.state.name === 'verifying';
        return { incident, begun, dueAt: await this.#dueAt(incident) };
      }),
    );
    waiting.sort((a, b) => Number(b.begun) - Number(a.begun) || a.dueAt - b.dueAt);
    for (const { incident, dueAt } of waiting) {
      const dueInMs = dueAt - clock.now();
      if (dueInMs > 0) restMs = Math.min(restMs, dueInMs);
      else if (this.#running.has(incident.service)) continue;
      else if (signal.aborted || this.#running.size >= AT_ONCE) break;
      else this.#start(incident.service, () => this.step(incident.id, signal));
    }
    return this.#running.size > 0 ? Math.min(restMs, BUSY_MS) : restMs;
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

  #start(service: string, work: () => Promise<unknown>): void {
    const task = work()
      .then(
        () => undefined,
        // The store may be away for a moment; the incident is due again at the next tick.
        () => undefined,
      )
      .finally(() => {
        this.#running.delete(service);
        this.wake();
      });
    this.#running.set(service, task);
  }

  /** Sleeps until something is due or somebody wakes us: a change of our own, or another process at the door. */
  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#woken) {
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

  async #serveRequests(signal: AbortSignal): Promise<void> {
    for (const request of await this.#deps.store.takeRequests(['fix', 'rollback'])) {
      if (request.kind === 'rollback') {
        await this.rollBack(request.subject, request.by, signal);
        continue;
      }
      const incident = await this.#deps.store.incident(request.subject);
      if (!incident) continue;
      await this.#running.get(incident.service);
      this.#start(incident.service, () => this.step(incident.id, signal, { requestedByPerson: true }));
    }
  }

  async #consider(incident: Incident, signal: AbortSignal, options: ConsiderOptions): Promise<void> {
    if (!incident.trusted && !options.requestedByPerson && !incident.symptoms.length) return this.#reportOnly(incident);
    const considered = await this.#deps.planner.consider(incident, options);
    const now = this.#deps.clock.now();
    switch (considered.kind) {
      case 'plan':
        return this.#use(incident, considered.plan, signal);
      case 'later':
        await this.#change(
          incident.id,
          { kind: 'postponed', until: considered.until, reason: considered.reason },
          null,
        );
        return;
      case 'refused':
        return this.#refused(incident, considered);
      case 'healed-with': {
        const { reason, incident: cause } = considered;
        await this.#change(incident.id, { kind: 'cleared', at: now, by: 'cause', reason, cause, outcome: null }, null);
        return;
      }
      case 'nothing':
        if (TRANSIENT.has(incident.type)) return this.#waitItOut(incident, considered.reason);
        await this.#change(
          incident.id,
          { kind: 'given-up', at: now, reason: considered.reason, outcome: null, suggestion: null },
          null,
        );
    }
  }

  async #reportOnly(incident: Incident): Promise<void> {
    if (TRANSIENT.has(incident.type)) return this.#waitItOut(incident, 'no fix is known for this');
    const reason = 'reported only: this text may be an imitation, and nothing is done because of it';
    await this.#change(
      incident.id,
      { kind: 'given-up', at: this.#deps.clock.now(), reason, outcome: null, suggestion: null },
      null,
    );
  }

  async #waitItOut(incident: Incident, reason: string): Promise<void> {
    const now = this.#deps.clock.now();
    const over = incident.lastSeen + OVER_AFTER_MS;
    if (now < over) {
      await this.#change(incident.id, { kind: 'postponed', until: over, reason }, null);
      return;
    }
    await this.#change(
      incident.id,
      { kind: 'cleared', at: now, by: 'itself', reason: 'it stayed away by itself', cause: null, outcome: null },
      null,
    );
  }

  async #refused(incident: Incident, considered: Extract<Considered, { kind: 'refused' }>): Promise<void> {
    const at = this.#deps.clock.now();
    if (considered.trips)
      await this.#deps.store.setValue(VALUE_KEYS.breaker, { open: true, reason: considered.reason, at });
    const outcome: Outcome = { kind: 'refused', reason: considered.reason, evidence: [], at, plan: null };
    await this.#change(
      incident.id,
      { kind: 'given-up', at, reason: considered.reason, outcome, suggestion: null },
      null,
    );
  }

  async #use(incident: Incident, plan: Plan, signal: AbortSignal): Promise<void> {
    await this.#deps.store.savePlan(plan);
    if (plan.decision.verdict === 'run') return this.#act(incident, plan, signal);
    const at = this.#deps.clock.now();
    if (plan.decision.autonomy === 'approve') {
      await this.#change(
        incident.id,
        { kind: 'plan-asks', plan: plan.id, fix: plan.fix, until: plan.expiresAt, reason: plan.decision.reason },
        plan,
      );
      return;
    }
    const reason = `suggestion: ${plan.title} (${plan.decision.reason})`;
    await this.#change(
      incident.id,
      { kind: 'given-up', at, reason, outcome: null, suggestion: { plan: plan.id, fix: plan.fix } },
      plan,
    );
  }

  async #awaitDecision(incident: Incident, planId: string, until: number, signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#deps;
    const [approval, plan] = await Promise.all([store.approval(planId), store.plan(planId)]);
    if (approval?.verdict === 'denied') {
      await this.#change(incident.id, { kind: 'denied', at: approval.at, by: approval.by }, plan);
    } else if (approval && plan && approval.hash === plan.hash) {
      await this.#act(incident, plan, signal);
    } else if (until <= clock.now()) {
      await this.#change(incident.id, { kind: 'expired', at: clock.now() }, plan);
    }
  }

  /** The attempt is stored before anything is touched: a crash can lose time, never count. */
  async #act(incident: Incident, plan: Plan, signal: AbortSignal): Promise<void> {
    const { owner, clock, hands } = this.#deps;
    const healing = await this.#change(
      incident.id,
      {
        kind: 'plan-starts',
        plan: plan.id,
        fix: plan.fix,
        owner,
        leaseUntil: clock.now() + LEASE_MS,
        reason: plan.title,
      },
      plan,
    );
    if (healing) await this.#absorb(healing, plan, await hands(plan.id, 'act', signal));
  }

  /** A healing incident that nobody of this process is at: its *hands* outlived or died with a former us. */
  async #resume(incident: Incident, planId: string, signal: AbortSignal): Promise<void> {
    const plan = await this.#deps.store.plan(planId);
    if (plan) await this.#absorb(incident, plan, await this.#deps.hands(planId, 'recover', signal));
  }

  async #verify(incident: Incident, state: Verifying, signal: AbortSignal): Promise<void> {
    const plan = await this.#deps.store.plan(state.plan);
    if (!plan) return;
    if (incident.lastSeen > state.since)
      return this.#absorb(incident, plan, await this.#deps.hands(plan.id, 'undo', signal));
    if (state.quietUntil > this.#deps.clock.now()) return;
    await this.#absorb(incident, plan, await this.#deps.hands(plan.id, 'verify', signal));
  }

  async #absorb(incident: Incident, plan: Plan, answer: HandsAnswer): Promise<void> {
    const { clock, hands } = this.#deps;
    switch (answer.kind) {
      case 'busy':
        return;
      case 'put-off':
        await this.#change(
          incident.id,
          { kind: 'put-off', until: clock.now() + PUT_OFF_MS, reason: answer.reason },
          plan,
        );
        return;
      case 'acted': {
        const reason = `done and checked; must stay quiet for ${Math.round(plan.settleMs / 1000)} s`;
        const at = clock.now();
        await this.#change(incident.id, { kind: 'steps-done', at, quietUntil: at + plan.settleMs, reason }, plan);
        return;
      }
      case 'finished':
        return this.#finish(incident, plan, answer.outcome, this.#retryAt(incident, answer.outcome));
      case 'died': {
        const again = await hands(plan.id, 'recover', new AbortController().signal);
        if (again.kind !== 'died') return this.#absorb(incident, plan, again);
        const outcome: Outcome = {
          kind: 'inconclusive',
          reason: again.reason,
          evidence: [],
          at: clock.now(),
          plan: plan.id,
        };
        return this.#finish(incident, plan, outcome, null);
      }
    }
  }

  #retryAt(incident: Incident, outcome: Outcome): number | null {
    if (outcome.kind === 'rollback-failed' || incident.attempts >= this.#deps.config.maxAutoFixAttempts) return null;
    return outcome.at + RETRY_MS * 2 ** Math.max(0, incident.attempts - 1);
  }

  async #finish(incident: Incident, plan: Plan, outcome: Outcome, retryAt: number | null): Promise<void> {
    await this.#deps.store.addLedger({
      plan: plan.id,
      incident: incident.id,
      service: incident.service,
      fix: plan.fix,
      family: plan.family,
      startedAt: plan.createdAt,
      outcome,
    });
    // Nothing was wrong any more when hands looked: the problem went away by itself.
    const event: IncidentEvent =
      outcome.kind === 'not-applicable'
        ? { kind: 'cleared', at: outcome.at, by: 'itself', reason: outcome.reason, cause: null, outcome }
        : { kind: 'finished', outcome, retryAt };
    await this.#change(incident.id, event, plan);
  }

  /** Compare and swap until it holds; the watch flow counts repeats on the same row. */
  async #change(id: string, event: IncidentEvent, plan: Plan | null): Promise<Incident | null> {
    const { store, clock, changed } = this.#deps;
    for (let attempt = 0; attempt < TRIES_TO_SAVE; attempt++) {
      const incident = await store.incident(id);
      const next = incident && advance(incident, event);
      if (!next) return null;
      if (!(await store.saveIncident(next))) continue;
      await store.addTimeline({ incident: id, at: clock.now(), kind: event.kind, text: next.reason });
      await changed({ kind: event.kind, incident: next, plan });
      return next;
    }
    return null;
  }
}
