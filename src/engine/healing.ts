// One incident on its way to an outcome: the planner is asked, frozen plans are handed to *hands*, the settle time is
// waited out, and nothing but proof is believed. Every transition is stored before its side effect, so a restarted
// process knows what to do next.

import type { Config } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import {
  advance,
  cameBack,
  type Incident,
  type IncidentEvent,
  type IncidentState,
  type IncidentStateName,
  quietNeededMs,
} from '../core/incident.ts';
import type { Evidence, Outcome } from '../core/outcome.ts';
import type { Check, Plan } from '../core/plan.ts';
import type { ErrorType } from '../core/words.ts';
import { provenStartKey, VALUE_KEYS, type Store } from '../store/contract.ts';
import { hasSomethingLeft, isBeside, lastStepDoneAt, planToTakeBack } from './left-behind.ts';
import type { Considered, ConsiderOptions, Planner } from './planner.ts';
import type { Turns } from './turns.ts';

/** What came back from the process that acts. */
export type HandsAnswer =
  /** All steps are done and all checks passed, but for those that the incident `beside` makes fail; the settle time decides. */
  | { readonly kind: 'acted'; readonly evidence: readonly Evidence[]; readonly beside?: string }
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

export interface HealingDeps {
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
/** An approved plan looks this often whether its service is free. */
const FREE_YET_MS = 1_000;
const TRIES_TO_SAVE = 8;
/** States in which a plan is under way. */
export const BEGUN: readonly IncidentStateName[] = ['healing', 'verifying'];
/** States in which an incident goes on by itself, or with a word. */
const UNDER_WAY: readonly IncidentStateName[] = ['open', 'awaiting-approval', 'healing', 'verifying'];
/** A line of the old process may be read this much after the step that ended it: that is no recurrence. */
const LATE_LINES_MS = 700;
/** What a person was called for and has not been seen for a week is over. */
const FORGOTTEN_MS = 7 * 24 * 3_600_000;

/** A plan that somebody has begun, and its incident. */
export interface OpenPlan {
  readonly plan: Plan;
  readonly incident: Incident;
}

/** Checks that the whole service has to pass. */
const isOfService = ({ kind, proves }: Check): boolean =>
  proves === 'operation' && (kind === 'health' || kind === 'running-anew');

export class Healing {
  readonly #deps: HealingDeps;
  readonly #turns: Turns;

  constructor(deps: HealingDeps, turns: Turns) {
    this.#deps = deps;
    this.#turns = turns;
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

  /**
   * Takes back, on a person's word, the newest plan of an incident that has left something. Null when there is none, or
   * when *hands* could not finish: what it began is then taken up again by `recover`.
   */
  async rollBack(id: string, by: string, signal: AbortSignal): Promise<Outcome | null> {
    const { store, hands } = this.#deps;
    const incident = await store.incident(id);
    const plan = incident && (await planToTakeBack(store, id));
    if (!incident || !plan) return null;
    let answer = await hands(plan.id, 'undo', signal);
    if (answer.kind === 'died') answer = await hands(plan.id, 'recover', signal);
    if (answer.kind === 'busy') this.#turns.rest(incident.service);
    if (answer.kind !== 'finished') return null;
    const outcome = { ...answer.outcome, undoneBy: by, reason: `${answer.outcome.reason} (asked by ${by})` };
    await this.#finish(incident, plan, outcome, null);
    return outcome;
  }

  /** Finishes or undoes a plan whose *hands* died. */
  async takeUp({ plan, incident }: OpenPlan, signal: AbortSignal): Promise<void> {
    await this.#absorb(incident, plan, await this.#deps.hands(plan.id, 'recover', signal));
  }

  /** Plans that were begun and not ended, but those whose settle time is running. */
  async openPlans(): Promise<readonly OpenPlan[]> {
    const { store } = this.#deps;
    const found: OpenPlan[] = [];
    for (const id of await store.openPlans()) {
      const plan = await store.plan(id);
      const incident = plan && (await store.incident(plan.incident));
      if (plan && incident && incident.state.name !== 'verifying') found.push({ plan, incident });
    }
    return found;
  }

  /** Closes what a person was called for and was not seen for a week. */
  async closeForgotten(): Promise<void> {
    const { store, clock } = this.#deps;
    const at = clock.now();
    for (const { id, lastSeen, state } of await store.incidents({ states: ['needs-human'], limit: 1_000 })) {
      // A line may bear an old date, or one of a wrong clock: nobody was given a week to look before he was called.
      const since = state.name === 'needs-human' ? Math.max(lastSeen, state.at) : at;
      if (at - since <= FORGOTTEN_MS) continue;
      const reason = 'it was not seen for a week';
      await this.#change(id, { kind: 'cleared', at, by: 'itself', reason, cause: null, outcome: null }, null);
    }
  }

  async #consider(incident: Incident, signal: AbortSignal, options: ConsiderOptions): Promise<void> {
    if (!incident.trusted && !options.requestedByPerson && !incident.symptoms.length) return this.#reportOnly(incident);
    const considered = await this.#deps.planner.consider(incident, {
      ...options,
      busyWith: await this.#busyWith(incident),
    });
    const now = this.#deps.clock.now();
    switch (considered.kind) {
      case 'plan':
        return this.#use(incident, considered.plan, signal);
      case 'later':
        return this.#postpone(incident, considered.until, considered.reason);
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

  /** The plan that was begun for another problem of the same service, and is not proven yet, nor waits for this one. */
  async #busyWith({ id, service }: Incident): Promise<string | null> {
    const begun = await this.#deps.store.incidents({ service, states: BEGUN });
    const waits = ({ state }: Incident) => state.name === 'verifying' && state.beside !== undefined;
    return begun.find((other) => other.id !== id && !waits(other))?.plan ?? null;
  }

  /** The same reason once more is no news: it is neither stored nor told, only waited for. */
  async #postpone(incident: Incident, until: number, reason: string): Promise<void> {
    if (incident.state.name === 'open' && incident.reason === reason) {
      this.#turns.rest(incident.id, Math.max(0, until - this.#deps.clock.now()));
      return;
    }
    await this.#change(incident.id, { kind: 'postponed', until, reason }, null);
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
    const over = incident.lastSeen + quietNeededMs(incident, OVER_AFTER_MS);
    if (now < over) return this.#postpone(incident, over, reason);
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
    const { reason, next } = considered;
    const outcome: Outcome = { kind: 'refused', reason, evidence: [], at, plan: null, ...(next ? { next } : {}) };
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
      // The word of a person is kept until the service is free.
      if ((await this.#busyWith(incident)) !== null && until > clock.now())
        return this.#turns.rest(incident.id, FREE_YET_MS);
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
    const { store, hands, clock } = this.#deps;
    const plan = await store.plan(state.plan);
    if (!plan) return;
    if (cameBack(incident)) return this.#absorb(incident, plan, await hands(plan.id, 'undo', signal));
    if (state.quietUntil > clock.now()) return;
    if (await this.#isUnderWay(state.beside)) return this.#turns.rest(incident.id, FREE_YET_MS);
    const answer = await hands(plan.id, 'verify', signal);
    // It may have come back while the last checks ran: then they have proven nothing.
    const now = await store.incident(incident.id);
    if (now && cameBack(now)) return this.#absorb(now, plan, await hands(plan.id, 'undo', signal));
    await this.#absorb(incident, plan, answer);
  }

  /** True while something may still become of it without a person. */
  async #isUnderWay(id: string | undefined): Promise<boolean> {
    const incident = id === undefined ? null : await this.#deps.store.incident(id);
    return incident !== null && UNDER_WAY.includes(incident.state.name);
  }

  async #absorb(incident: Incident, plan: Plan, answer: HandsAnswer): Promise<void> {
    const { clock, hands, store } = this.#deps;
    if (answer.kind !== 'busy') this.#turns.rested(incident.id);
    switch (answer.kind) {
      case 'busy':
        this.#turns.rest(incident.id);
        return;
      case 'put-off':
        await this.#change(
          incident.id,
          { kind: 'put-off', until: clock.now() + PUT_OFF_MS, reason: answer.reason },
          plan,
        );
        return;
      case 'acted': {
        const { beside } = answer;
        const reason = beside
          ? `what had failed works again; ${plan.service} is kept down by problem ${beside}, which is healed first`
          : `done and checked; must stay quiet for ${Math.round(plan.settleMs / 1000)} s${this.#whySoLong(plan, incident)}`;
        const now = clock.now();
        const since = Math.min(now, (lastStepDoneAt(await store.journal(plan.id)) ?? now) + LATE_LINES_MS);
        const done = { kind: 'steps-done', since, quietUntil: now + plan.settleMs, reason } as const;
        await this.#change(incident.id, beside ? { ...done, beside } : done, plan);
        return;
      }
      case 'finished':
        return this.#finish(incident, plan, answer.outcome, await this.#retryAt(incident, plan, answer.outcome));
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

  /** Longer than configured, since the problem has a period of its own. */
  #whySoLong({ service, settleMs }: Plan, { count, firstSeen, lastSeen }: Incident): string {
    const usualMs = this.#deps.config.services.find(({ name }) => name === service)?.settleMs ?? settleMs;
    if (settleMs <= usualMs || count < 2) return '';
    const [usual, period] = [usualMs, (lastSeen - firstSeen) / (count - 1)].map((ms) => Math.round(ms / 1000));
    return `, not ${usual} s as usual, since it came about every ${period} s`;
  }

  async #retryAt(incident: Incident, plan: Plan, outcome: Outcome): Promise<number | null> {
    // What was done stays and cannot be tried: once more would change nothing, and a person can tell.
    if (outcome.kind === 'inconclusive' && plan.checks.some(({ kind }) => kind === 'untried')) return null;
    if (outcome.kind === 'inconclusive' && isBeside(await this.#deps.store.journal(plan.id))) return null;
    if (outcome.kind === 'rollback-failed' || incident.attempts >= this.#deps.config.maxAutoFixAttempts) return null;
    return outcome.at + RETRY_MS * 2 ** Math.max(0, incident.attempts - 1);
  }

  async #finish(incident: Incident, plan: Plan, ended: Outcome, retryAt: number | null): Promise<void> {
    const isLeft = hasSomethingLeft(plan, await this.#deps.store.journal(plan.id));
    const outcome: Outcome = isLeft ? ended : { ...ended, hasWayBack: false };
    await this.#deps.store.addLedger({
      plan: plan.id,
      incident: incident.id,
      service: incident.service,
      fix: plan.fix,
      family: plan.family,
      startedAt: plan.createdAt,
      outcome,
    });
    if (outcome.kind === 'fixed' && plan.restart === 'done')
      await this.#deps.store.setValue(provenStartKey(plan.service), outcome.at);
    // Nothing was wrong any more when hands looked: the problem went away by itself.
    const event: IncidentEvent =
      outcome.kind === 'not-applicable'
        ? { kind: 'cleared', at: outcome.at, by: 'itself', reason: outcome.reason, cause: null, outcome }
        : { kind: 'finished', outcome, retryAt };
    await this.#change(incident.id, event, plan);
    if (outcome.kind === 'fixed' && plan.checks.some(isOfService)) await this.#clearBeside(incident, outcome.at);
  }

  /** What had worked again already, and only waited for the service to be well: now it is. */
  async #clearBeside({ id, service }: Incident, at: number): Promise<void> {
    const { store } = this.#deps;
    for (const other of await store.incidents({ service, states: ['needs-human'] })) {
      const { outcome, lastSeen } = other;
      if (outcome?.kind !== 'inconclusive' || outcome.plan === null || lastSeen > outcome.at) continue;
      if (!isBeside(await store.journal(outcome.plan))) continue;
      const reason = `its own repair was kept, and ${service} is well since problem ${id} was healed`;
      await this.#change(other.id, { kind: 'cleared', at, by: 'cause', reason, cause: id, outcome: null }, null);
    }
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
