// What a person can ask, whatever face they use: command line, chat, dashboard, library.
// Questions are answered from the store; wishes go through the same planner and fixer as everything else.

import type { Config } from './config/contract.ts';
import type { Clock } from './core/clock.ts';
import {
  advance,
  incidentRow,
  type Incident,
  type IncidentEvent,
  type IncidentRow,
  type IncidentStateName,
} from './core/incident.ts';
import type { Severity } from './core/words.ts';
import type { AutoFixer, HealingChange } from './engine/fixer.ts';
import type { Breaker } from './engine/guards.ts';
import { summarise, type FixSummary } from './engine/ledger.ts';
import type { Planner } from './engine/planner.ts';
import type { Probe } from './host/contract.ts';
import { VALUE_KEYS, type BlindStreams, type Cycle, type LedgerRow, type Pause, type Store } from './store/contract.ts';
import type {
  ActionAnswer,
  ErrorsAnswer,
  FixAnswer,
  HealthAnswer,
  IncidentDetail,
  Person,
  PlanAnswer,
  ReportAnswer,
  ServiceHealth,
  StatusAnswer,
  WhyAnswer,
} from './answers.ts';

export type * from './answers.ts';

/** Every method rejects with a `StoreError` when the store cannot be reached, and with nothing else that is expected. */
export interface Operations {
  status(): Promise<StatusAnswer>;
  /** `minutes` defaults to 30, as the specification shows. */
  health(options?: { readonly minutes?: number }): Promise<HealthAnswer>;
  /** `minutes` defaults to 60. */
  errors(options?: { readonly minutes?: number }): Promise<ErrorsAnswer>;
  report(): Promise<ReportAnswer>;
  /** Heals one incident or all fixable ones; waits until each has an outcome, asks, or `signal` aborts. */
  fix(id: string | null, by: Person, signal?: AbortSignal): Promise<FixAnswer>;
  history(options?: {
    readonly limit?: number;
  }): Promise<{ readonly rows: readonly LedgerRow[]; readonly summary: FixSummary }>;
  /** Open ones, or all. Newest first. */
  incidents(options?: { readonly all?: boolean }): Promise<readonly IncidentRow[]>;
  incident(id: string): Promise<IncidentDetail | null>;
  plan(id: string): Promise<PlanAnswer | null>;
  /** Approves the plan that the incident waits with. With `hash`, only that exact plan. */
  approve(id: string, by: Person, hash?: string): Promise<ActionAnswer>;
  deny(id: string, by: Person, hash?: string): Promise<ActionAnswer>;
  rollback(id: string, by: Person): Promise<ActionAnswer>;
  silence(id: string, forMs: number, by: Person): Promise<ActionAnswer>;
  /** Stops all acting on this host, also across restarts, until `resume`. Watching goes on. */
  pause(by: Person, reason: string): Promise<ActionAnswer>;
  resume(by: Person): Promise<ActionAnswer>;
  /** Explains a text or an incident by its id. */
  why(textOrId: string): Promise<WhyAnswer>;
  /** Takes in the newest upstream commits of each service's repository, through a plan like any other. */
  pullLatest(by: Person, service?: string): Promise<readonly ActionAnswer[]>;
  /** Starts or stops a supervised service. A stop is deliberate: nobody starts it again but a person. */
  control(service: string, verb: 'start' | 'stop', by: Person): Promise<ActionAnswer>;
  close(): Promise<void>;
}

export interface OperationsDeps {
  readonly config: Config;
  readonly store: Store;
  readonly planner: Planner;
  readonly fixer: AutoFixer;
  readonly probe: Probe;
  readonly clock: Clock;
  readonly node: string;
  readonly explain: (text: string) => Omit<WhyAnswer, 'incident'>;
  /** Who runs the flows: this process, another one, or nobody. */
  readonly daemon: () => Promise<{ readonly running: boolean; readonly here: boolean; readonly pid: number | null }>;
  /** Runs `work` as the only acting process of this host, for when no daemon is there. */
  readonly alone: (work: (signal: AbortSignal) => Promise<void>) => Promise<void>;
  /** After each stored change, so that the outbox hears of it. */
  readonly changed: (change: HealingChange) => void | Promise<void>;
  readonly close: () => Promise<void>;
}

const SETTLED: readonly IncidentStateName[] = ['resolved', 'needs-human', 'awaiting-approval', 'silenced'];
const ACTIVE: readonly IncidentStateName[] = ['open', 'awaiting-approval', 'healing', 'verifying', 'needs-human'];
const MINUTE_MS = 60_000;
const RECENT = 5;
const FIX_AT_MOST = 20;
const WAIT_FOR_FIX_MS = 15 * MINUTE_MS;
const CONTROL_MS = 15_000;

export function createOperations(deps: OperationsDeps): Operations {
  return new StoreOperations(deps);
}

class StoreOperations implements Operations {
  readonly #d: OperationsDeps;

  constructor(deps: OperationsDeps) {
    this.#d = deps;
  }

  async status(): Promise<StatusAnswer> {
    const { store, config } = this.#d;
    const [daemon, pause, breaker, active, cycle, sights, outbox] = await Promise.all([
      this.#d.daemon(),
      store.value<Pause>(VALUE_KEYS.pause),
      store.value<Breaker>(VALUE_KEYS.breaker),
      store.incidents({ states: ACTIVE, limit: 1_000 }),
      store.value<Cycle>(VALUE_KEYS.cycle),
      store.value<BlindStreams>(VALUE_KEYS.blind),
      store.outbox({ limit: 1_000 }),
    ]);
    const incidents: Record<string, number> = {};
    for (const i of active) incidents[i.state.name] = (incidents[i.state.name] ?? 0) + 1;
    return {
      daemon: {
        running: daemon.running,
        pid: daemon.pid,
        since: daemon.running && cycle ? iso(cycle.startedAt) : null,
        lastCycleAt: cycle ? iso(cycle.lastCycleAt) : null,
      },
      paused: pause && { by: pause.by, at: iso(pause.at), reason: pause.reason },
      breaker: { open: breaker?.open ?? false, reason: breaker?.reason ?? '' },
      autoFix: config.enabled && config.autoFix,
      sources: Object.entries(sights ?? {}).map(([id, s]) => ({
        id,
        blindSince: iso(s.since),
        reason: s.reason,
        lagBytes: 0,
      })),
      services: await this.#services(active),
      incidents,
      outbox: {
        pending: outbox.filter((row) => row.state === 'pending').length,
        failed: outbox.filter((row) => row.state === 'failed').length,
      },
    };
  }

  async health(options: { readonly minutes?: number } = {}): Promise<HealthAnswer> {
    const minutes = options.minutes ?? 30;
    const errors = await this.errors({ minutes });
    const active = await this.#d.store.incidents({ states: ACTIVE, limit: 1_000 });
    const services = await this.#services(active);
    const bySeverity: Record<Severity, number> = { critical: 0, high: 0, medium: 0, low: 0 };
    for (const i of errors.incidents) bySeverity[i.severity] += 1;
    const ill = services.some((s) => s.health.passed === false || s.running === false);
    return {
      healthy: !ill && active.every((i) => i.severity === 'low'),
      minutes,
      errors: errors.total,
      autoFixable: errors.autoFixable,
      bySeverity,
      recent: errors.incidents.slice(0, RECENT),
      services,
    };
  }

  async errors(options: { readonly minutes?: number } = {}): Promise<ErrorsAnswer> {
    const minutes = options.minutes ?? 60;
    const since = this.#d.clock.now() - minutes * MINUTE_MS;
    const found = await this.#d.store.incidents({ since, limit: 1_000 });
    const byType: Partial<Record<Incident['type'], number>> = {};
    for (const i of found) byType[i.type] = (byType[i.type] ?? 0) + 1;
    return {
      minutes,
      total: found.length,
      autoFixable: found.filter((i) => i.fixable).length,
      byType,
      incidents: found.map(incidentRow),
    };
  }

  async report(): Promise<ReportAnswer> {
    const [errors, history, open] = await Promise.all([this.errors(), this.history({ limit: 10 }), this.incidents()]);
    return { errors, fixes: history.summary, open, history: history.rows };
  }

  async history(options: { readonly limit?: number } = {}) {
    const all = await this.#d.store.ledger({});
    const rows = [...all].sort((a, b) => b.outcome.at - a.outcome.at).slice(0, options.limit ?? 50);
    return { rows, summary: summarise(all) };
  }

  async incidents(options: { readonly all?: boolean } = {}) {
    const query = options.all ? { limit: 1_000 } : { states: [...ACTIVE, 'silenced' as const], limit: 1_000 };
    return (await this.#d.store.incidents(query)).map(incidentRow);
  }

  async incident(id: string): Promise<IncidentDetail | null> {
    const { store } = this.#d;
    const incident = await store.incident(id);
    if (!incident) return null;
    const plan = incident.plan ? await store.plan(incident.plan) : null;
    return {
      incident: incidentRow(incident),
      samples: incident.samples,
      timeline: await store.timeline(id),
      plan,
      journal: plan ? await store.journal(plan.id) : [],
      next: nextCommands(incident),
    };
  }

  async plan(id: string): Promise<PlanAnswer | null> {
    const incident = await this.#d.store.incident(id);
    if (!incident) return null;
    const row = incidentRow(incident);
    if (incident.state.name === 'awaiting-approval') {
      const plan = await this.#d.store.plan(incident.state.plan);
      return { incident: row, plan, reason: incident.reason, considered: [] };
    }
    const considered = await this.#d.planner.consider(incident, { requestedByPerson: true });
    if (considered.kind === 'plan')
      return {
        incident: row,
        plan: considered.plan,
        reason: considered.plan.decision.reason,
        considered: considered.asked,
      };
    return { incident: row, plan: null, reason: considered.reason, considered: considered.asked };
  }

  async fix(id: string | null, by: Person, signal?: AbortSignal): Promise<FixAnswer> {
    const wanted = id ? [id] : (await this.#fixable()).map((i) => i.id);
    const before = new Map<string, number>();
    for (const one of wanted) before.set(one, (await this.#d.store.incident(one))?.attempts ?? 0);
    await this.#carryOut(wanted, by, signal);
    const after = (await Promise.all(wanted.map((one) => this.#d.store.incident(one)))).filter((i) => i !== null);
    const tried = after.filter((i) => i.attempts > (before.get(i.id) ?? 0));
    return {
      attempted: tried.length,
      successful: tried.filter((i) => i.outcome?.kind === 'fixed').length,
      failed: tried.filter((i) => i.outcome?.kind !== 'fixed' && i.state.name !== 'awaiting-approval').length,
      asking: after.filter((i) => i.state.name === 'awaiting-approval').length,
      results: after.map((i) => ({ incident: incidentRow(i), said: i.reason })),
      restartRecommended: await this.#restartRecommended(after),
    };
  }

  approve(id: string, by: Person, hash?: string): Promise<ActionAnswer> {
    return this.#decide(id, by, 'approved', hash);
  }

  deny(id: string, by: Person, hash?: string): Promise<ActionAnswer> {
    return this.#decide(id, by, 'denied', hash);
  }

  async rollback(id: string, by: Person): Promise<ActionAnswer> {
    const incident = await this.#d.store.incident(id);
    if (!incident) return unknownIncident(id);
    if (!incident.plan) return no(`incident ${id} has no plan that could be rolled back`, incident);
    const daemon = await this.#d.daemon();
    if (daemon.running) {
      await this.#d.store.request({ kind: 'rollback', subject: id, by, at: this.#d.clock.now() });
      const done = await this.#until(
        id,
        (i) => i.revision > incident.revision && i.outcome?.kind !== incident.outcome?.kind,
      );
      return this.#said(done, done?.outcome?.kind === 'rolled-back');
    }
    await this.#d.alone(async (signal) => void (await this.#d.fixer.rollBack(id, by, signal)));
    const after = await this.#d.store.incident(id);
    return this.#said(after, after?.outcome?.kind === 'rolled-back');
  }

  async silence(id: string, forMs: number, by: Person): Promise<ActionAnswer> {
    const until = this.#d.clock.now() + forMs;
    const done = await this.#change(id, { kind: 'silenced', by, until });
    return done ? yes(`incident ${id} is silenced until ${iso(until)}`, done) : this.#impossible(id, 'be silenced');
  }

  async pause(by: Person, reason: string): Promise<ActionAnswer> {
    await this.#d.store.setValue(VALUE_KEYS.pause, { by, at: this.#d.clock.now(), reason });
    return { ok: true, message: 'paused: watching goes on, nothing is changed until `resume`', incident: null };
  }

  async resume(by: Person): Promise<ActionAnswer> {
    await this.#d.store.setValue(VALUE_KEYS.pause, null);
    await this.#d.store.setValue(VALUE_KEYS.breaker, { open: false, reason: `closed by ${by}` });
    this.#d.fixer.wake();
    return { ok: true, message: 'resumed: fixes may run again', incident: null };
  }

  async why(textOrId: string): Promise<WhyAnswer> {
    const incident = /^\d+$/.test(textOrId.trim()) ? await this.#d.store.incident(textOrId.trim()) : null;
    const text = incident?.samples.at(-1)?.text ?? textOrId;
    return { ...this.#d.explain(text), incident: incident && incidentRow(incident) };
  }

  async pullLatest(by: Person, service?: string): Promise<readonly ActionAnswer[]> {
    const services = this.#d.config.services.filter((s) => !service || s.name === service);
    const answers: ActionAnswer[] = [];
    for (const one of services) {
      const repository = await this.#d.probe.git.repository(one.directory);
      if (!repository) {
        answers.push({ ok: false, message: `${one.name}: ${one.directory} is not a git repository`, incident: null });
        continue;
      }
      const incident = await this.#wish(one.name, repository.directory, by);
      await this.#carryOut([incident.id], by);
      const after = (await this.#d.store.incident(incident.id)) ?? incident;
      answers.push({
        ok: after.outcome?.kind === 'fixed',
        message: `${one.name}: ${after.reason}`,
        incident: incidentRow(after),
      });
    }
    return answers;
  }

  async control(service: string, verb: 'start' | 'stop', by: Person): Promise<ActionAnswer> {
    const { config, store, clock, probe } = this.#d;
    const known = config.services.find((s) => s.name === service);
    if (!known?.command)
      return { ok: false, message: `${service} is not a service that selfheal supervises`, incident: null };
    if (!(await this.#d.daemon()).running)
      return { ok: false, message: 'nothing supervises it: start `selfheal watch` first', incident: null };
    await store.request({ kind: `${verb}-service`, subject: service, by, at: clock.now() });
    const end = clock.monotonic() + CONTROL_MS;
    while (clock.monotonic() < end) {
      const state = await probe.services.state(service);
      if (state.running === (verb === 'start'))
        return { ok: true, message: `${service} ${verb === 'start' ? 'runs' : 'has stopped'}`, incident: null };
      await clock.sleep(50);
    }
    return {
      ok: false,
      message: `${service} did not ${verb} within ${CONTROL_MS / 1000} s; see \`selfheal status\``,
      incident: null,
    };
  }

  close(): Promise<void> {
    return this.#d.close();
  }

  async #services(active: readonly Incident[]): Promise<readonly ServiceHealth[]> {
    const { probe, config } = this.#d;
    return Promise.all(
      config.services.map(async (s) => {
        const [state, health] = await Promise.all([probe.services.state(s.name), probe.services.health(s.name)]);
        const openIncidents = active.filter((i) => i.service === s.name).length;
        return { name: s.name, running: state.running, pid: state.process?.pid ?? null, health, openIncidents };
      }),
    );
  }

  async #fixable(): Promise<readonly Incident[]> {
    const found = await this.#d.store.incidents({ states: ['open', 'needs-human'], limit: 500 });
    return found.filter((i) => i.fixable).slice(0, FIX_AT_MOST);
  }

  /** Through the daemon when there is one; else as the only acting process, here and now. */
  async #carryOut(ids: readonly string[], by: Person, signal?: AbortSignal): Promise<void> {
    const { store, clock, fixer } = this.#d;
    if ((await this.#d.daemon()).running) {
      for (const id of ids) await store.request({ kind: 'fix', subject: id, by, at: clock.now() });
      fixer.wake();
      for (const id of ids) await this.#settled(id, signal);
      return;
    }
    await this.#d.alone(async (own) => {
      const both = signal ? AbortSignal.any([own, signal]) : own;
      for (const id of ids) {
        await fixer.step(id, both, { requestedByPerson: true });
        await this.#settleHere(id, both);
      }
    });
  }

  async #settleHere(id: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const incident = await this.#d.fixer.step(id, signal);
      if (!incident || SETTLED.includes(incident.state.name) || incident.state.name === 'open') return;
      await this.#d.clock.sleep(250, signal);
    }
  }

  /** Waits for an end, or for a reason to wait longer than a person would. */
  async #settled(id: string, signal?: AbortSignal): Promise<void> {
    const began = this.#d.clock.now();
    let acted = false;
    await this.#until(
      id,
      (i) => {
        acted ||= i.state.name === 'healing' || i.state.name === 'verifying';
        const waited = this.#d.clock.now() - began > 2_500;
        return (acted || waited) && (SETTLED.includes(i.state.name) || (i.state.name === 'open' && waited));
      },
      signal,
    );
  }

  async #until(id: string, done: (incident: Incident) => boolean, signal?: AbortSignal): Promise<Incident | null> {
    const end = this.#d.clock.monotonic() + WAIT_FOR_FIX_MS;
    for (;;) {
      const incident = await this.#d.store.incident(id);
      if (!incident || done(incident) || signal?.aborted || this.#d.clock.monotonic() > end) return incident;
      await this.#d.clock.sleep(200, signal);
    }
  }

  async #decide(id: string, by: Person, verdict: 'approved' | 'denied', hash?: string): Promise<ActionAnswer> {
    const { store, clock, fixer } = this.#d;
    const incident = await store.incident(id);
    if (!incident) return unknownIncident(id);
    const waiting =
      incident.state.name === 'awaiting-approval' || (incident.state.name === 'needs-human' && incident.plan);
    const plan = waiting && incident.plan ? await store.plan(incident.plan) : null;
    if (!plan) return no(`incident ${id} does not wait for a decision (it is ${incident.state.name})`, incident);
    if (hash && hash !== plan.hash)
      return no('the plan has changed since this card was shown; look at it again', incident);
    if (plan.expiresAt <= clock.now())
      return no(`the plan has expired; \`selfheal plan ${id}\` makes a new one`, incident);
    const before = await store.approval(plan.id);
    if (before) return no(`already ${before.verdict} by ${before.by}`, incident);
    if (!(await store.decide({ plan: plan.id, hash: plan.hash, verdict, by, at: clock.now() })))
      return no('somebody else has just decided', incident);
    // A suggestion becomes a question that is answered already.
    if (verdict === 'approved' && incident.state.name === 'needs-human')
      await this.#change(id, {
        kind: 'plan-asks',
        plan: plan.id,
        fix: plan.fix,
        until: plan.expiresAt,
        reason: `approved by ${by}`,
      });
    fixer.wake();
    if (!(await this.#d.daemon()).running) await this.#d.alone((signal) => this.#settleApproved(id, signal));
    return yes(
      verdict === 'approved' ? `approved: ${plan.title}` : `denied: ${plan.title}`,
      (await store.incident(id)) ?? incident,
    );
  }

  async #settleApproved(id: string, signal: AbortSignal): Promise<void> {
    await this.#d.fixer.step(id, signal);
    await this.#settleHere(id, signal);
  }

  /** An incident that stands for a person's wish, so that the wish goes the way of every fix. */
  async #wish(service: string, directory: string, by: Person): Promise<Incident> {
    const { store, clock, node } = this.#d;
    const place = `wish:pull:${directory}`;
    const now = clock.now();
    const known = await store.incidentByFingerprint(service, place);
    if (known) {
      const again = await this.#change(known.id, {
        kind: 'seen',
        at: now,
        times: 1,
        severity: 'low',
        facts: {},
        sample: null,
        symptom: null,
      });
      return again ?? known;
    }
    const incident: Incident = {
      id: await store.nextIncidentId(),
      service,
      node,
      type: 'git_error',
      severity: 'low',
      state: { name: 'open', notBefore: now + 60_000 },
      rule: 'asked-by-owner',
      fingerprint: { version: 1, kind: place, place, template: 'pull latest from git' },
      message: `pull latest from git, asked by ${by}`,
      facts: { repository: directory },
      fixable: true,
      count: 1,
      firstSeen: now,
      lastSeen: now,
      samples: [],
      attempts: 0,
      plan: null,
      fix: null,
      outcome: null,
      reason: '',
      causedBy: null,
      symptoms: [],
      revision: 1,
    };
    await store.saveIncident(incident);
    return incident;
  }

  async #restartRecommended(incidents: readonly Incident[]): Promise<readonly string[]> {
    const plans = await Promise.all(incidents.map((i) => (i.plan ? this.#d.store.plan(i.plan) : null)));
    return [...new Set(plans.flatMap((p) => (p?.restart === 'recommended' ? [p.service] : [])))];
  }

  async #change(id: string, event: IncidentEvent): Promise<Incident | null> {
    for (let attempt = 0; attempt < 8; attempt++) {
      const incident = await this.#d.store.incident(id);
      const next = incident && advance(incident, event);
      if (!next) return null;
      if (!(await this.#d.store.saveIncident(next))) continue;
      await this.#d.store.addTimeline({ incident: id, at: this.#d.clock.now(), kind: event.kind, text: next.reason });
      await this.#d.changed({ kind: event.kind, incident: next, plan: null });
      return next;
    }
    return null;
  }

  async #impossible(id: string, what: string): Promise<ActionAnswer> {
    const incident = await this.#d.store.incident(id);
    return incident ? no(`incident ${id} is ${incident.state.name} and cannot ${what}`, incident) : unknownIncident(id);
  }

  #said(incident: Incident | null, ok: boolean): ActionAnswer {
    return { ok, message: incident?.reason ?? 'no answer', incident: incident && incidentRow(incident) };
  }
}

/** What a person would type next. */
function nextCommands(incident: Incident): readonly string[] {
  switch (incident.state.name) {
    case 'awaiting-approval':
      return [`selfheal approve ${incident.id}`, `selfheal deny ${incident.id}`];
    case 'needs-human':
      return [
        `selfheal plan ${incident.id}`,
        `selfheal fix ${incident.id}`,
        `selfheal silence ${incident.id} --for 2h`,
      ];
    case 'resolved':
      return incident.outcome?.kind === 'fixed' ? [`selfheal rollback ${incident.id}`] : [];
    default:
      return [`selfheal plan ${incident.id}`, `selfheal why ${incident.id}`];
  }
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
function yes(message: string, incident: Incident): ActionAnswer {
  return { ok: true, message, incident: incidentRow(incident) };
}
function no(message: string, incident: Incident): ActionAnswer {
  return { ok: false, message, incident: incidentRow(incident) };
}
function unknownIncident(id: string): ActionAnswer {
  return { ok: false, message: `there is no incident ${id}; \`selfheal incidents --all\` lists them`, incident: null };
}
