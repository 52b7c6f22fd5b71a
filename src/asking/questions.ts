// The questions of a person, answered from the store and from probes. Nothing here changes anything.

import type {
  Due,
  ErrorsAnswer,
  HealthAnswer,
  IncidentDetail,
  PlanAnswer,
  ReportAnswer,
  ServiceHealth,
  StatusAnswer,
  WhyAnswer,
} from '../answers.ts';
import { incidentRow, type Incident, type IncidentStateName } from '../core/incident.ts';
import { canTakeBack } from '../core/outcome.ts';
import type { GatewayReport, ModelRoute } from '../core/gateway.ts';
import type { Plan } from '../core/plan.ts';
import type { Severity } from '../core/words.ts';
import type { Breaker } from '../engine/guards.ts';
import { hostCommands } from '../engine/host-commands.ts';
import { summarise } from '../engine/ledger.ts';
import { trustTable } from '../engine/trust.ts';
import { isPaused, VALUE_KEYS, type BlindStreams, type Cycle, type Pause } from '../store/contract.ts';
import type { OperationsDeps } from './deps.ts';

const ACTIVE: readonly IncidentStateName[] = ['open', 'awaiting-approval', 'healing', 'verifying', 'needs-human'];
const MINUTE_MS = 60_000;
const RECENT = 5;

export class Questions {
  readonly #d: OperationsDeps;

  constructor(deps: OperationsDeps) {
    this.#d = deps;
  }

  async status(): Promise<StatusAnswer> {
    const { store, config } = this.#d;
    const [daemon, pause, breaker, active, cycle, sights, outbox, gateway, routes] = await Promise.all([
      this.#d.daemon(),
      store.value<Pause>(VALUE_KEYS.pause),
      store.value<Breaker>(VALUE_KEYS.breaker),
      store.incidents({ states: [...ACTIVE, 'silenced'], limit: 1_000 }),
      store.value<Cycle>(VALUE_KEYS.cycle),
      store.value<BlindStreams>(VALUE_KEYS.blind),
      store.outbox({ limit: 1_000 }),
      store.value<GatewayReport>(VALUE_KEYS.gateway),
      store.value<readonly ModelRoute[]>(VALUE_KEYS.routes),
    ]);
    const incidents: Record<string, number> = {};
    for (const i of active) incidents[i.state.name] = (incidents[i.state.name] ?? 0) + 1;
    return {
      daemon: {
        running: daemon.running,
        pid: daemon.pid,
        since: daemon.running && cycle ? iso(cycle.startedAt) : null,
        lastCycleAt: cycle ? iso(cycle.lastCycleAt) : null,
        nextCycleAt: daemon.running && cycle?.everyMs ? iso(cycle.lastCycleAt + cycle.everyMs) : null,
      },
      due: daemon.running ? dueOf(active, this.#d.clock.now()) : [],
      paused: isPaused(pause, this.#d.clock.now())
        ? { by: pause.by, at: iso(pause.at), reason: pause.reason, until: pause.until ? iso(pause.until) : null }
        : null,
      breaker: { open: breaker?.open ?? false, reason: breaker?.reason ?? '' },
      autoFix: config.enabled && config.autoFix,
      sources: Object.entries(sights ?? {}).map(([id, s]) => ({
        id,
        blindSince: iso(s.since),
        reason: s.reason,
        lagBytes: 0,
      })),
      services: await this.#services(active.filter((i) => i.state.name !== 'silenced')),
      incidents,
      outbox: {
        pending: outbox.filter((row) => row.state === 'pending').length,
        failed: outbox.filter((row) => row.state === 'failed').length,
      },
      gateway: daemon.running ? gateway : null,
      routes: (routes ?? []).filter((route) => route.until > this.#d.clock.now()),
    };
  }

  async health(options: { readonly minutes?: number } = {}): Promise<HealthAnswer> {
    const minutes = options.minutes ?? 30;
    const errors = await this.errors({ minutes });
    const active = await this.#d.store.incidents({ states: ACTIVE, limit: 1_000 });
    const silenced = await this.#d.store.incidents({ states: ['silenced'], limit: 1_000 });
    const services = await this.#services(active);
    const bySeverity: Record<Severity, number> = { critical: 0, high: 0, medium: 0, low: 0 };
    for (const i of errors.incidents) bySeverity[i.severity] += 1;
    const ill = services.some((s) => s.health.passed === false || s.running === false);
    const { running: watching } = await this.#d.daemon();
    const sights = watching ? await this.#d.store.value<BlindStreams>(VALUE_KEYS.blind) : null;
    const blind = Object.entries(sights ?? {}).map(([id, { reason }]) => `${id}: ${reason}`);
    return {
      healthy: watching && blind.length === 0 && !ill && active.every((i) => i.severity === 'low'),
      watching,
      blind,
      minutes,
      errors: errors.total,
      autoFixable: errors.autoFixable,
      silenced: silenced.length,
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
    const trust = this.#d.config.trust === 'earned' ? trustTable(all, this.#d.clock.now()) : null;
    return { rows, summary: summarise(all), trust };
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
      next: [...this.#onHost(incident), ...nextCommands(incident)],
    };
  }

  #onHost(incident: Incident): readonly string[] {
    if (incident.state.name !== 'needs-human') return [];
    return hostCommands(incident, this.#d.config.services.find(({ name }) => name === incident.service) ?? null);
  }

  async plan(id: string): Promise<PlanAnswer | null> {
    const incident = await this.#d.store.incident(id);
    if (!incident) return null;
    const row = incidentRow(incident);
    if (incident.state.name === 'awaiting-approval') {
      const plan = await this.#d.store.plan(incident.state.plan);
      return { incident: row, plan, reason: incident.reason, considered: [] };
    }
    if (incident.state.name === 'healing' || incident.state.name === 'verifying') {
      const reason = `plan ${incident.state.plan} is under way (${incident.reason}); \`selfheal incident ${id}\` shows its steps`;
      return { incident: row, plan: null, reason, considered: [] };
    }
    const suggested = await this.#suggestion(incident);
    if (suggested) return { incident: row, plan: suggested, reason: suggested.decision.reason, considered: [] };
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

  /** The stored plan that an approval would be for: what is shown is what would run. */
  async #suggestion({ state, plan: id }: Incident): Promise<Plan | null> {
    const { store, clock } = this.#d;
    const plan = state.name === 'needs-human' && id !== null ? await store.plan(id) : null;
    if (!plan || plan.expiresAt <= clock.now() || (await store.approval(plan.id))) return null;
    return (await store.journal(plan.id)).length === 0 ? plan : null;
  }

  async why(textOrId: string): Promise<WhyAnswer> {
    const id = textOrId.trim();
    const incident = /^\d+$/.test(id) ? await this.#d.store.incident(id) : null;
    const answer = await this.#d.explain(incident?.samples.at(-1)?.text ?? textOrId);
    if (incident || !/^\d+$/.test(id) || answer.detection)
      return { ...answer, incident: incident && incidentRow(incident) };
    return { ...answer, because: `there is no incident ${id}, and as a line of a log it is no error`, incident: null };
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
}

/** Longer than any list that a person reads. */
const DUE_CAP = 100;

function dueOf(incidents: readonly Incident[], now: number): StatusAnswer['due'] {
  return incidents
    .flatMap((incident) => nextOf(incident))
    .filter(({ at }) => at > now)
    .sort((a, b) => a.at - b.at)
    .slice(0, DUE_CAP)
    .map(({ at, ...one }) => ({ ...one, at: iso(at) }));
}

function nextOf({ id, state, fixable }: Incident): readonly (Omit<Due, 'at'> & { readonly at: number })[] {
  switch (state.name) {
    case 'open':
      return fixable ? [{ incident: id, what: 'attempt', at: state.notBefore }] : [];
    case 'verifying':
      return state.beside === undefined ? [{ incident: id, what: 'verdict', at: state.quietUntil }] : [];
    case 'awaiting-approval':
      return [{ incident: id, what: 'lapse', at: state.until }];
    case 'silenced':
      return [{ incident: id, what: 'unsilenced', at: state.until }];
    default:
      return [];
  }
}

/** What a person would type next. */
function nextCommands(incident: Incident): readonly string[] {
  switch (incident.state.name) {
    case 'awaiting-approval':
      return [`selfheal approve ${incident.id}`, `selfheal deny ${incident.id}`];
    case 'needs-human':
      return [`selfheal plan ${incident.id}`, `selfheal fix ${incident.id}`, `selfheal resolve ${incident.id}`];
    case 'resolved':
      return canTakeBack(incident.outcome) ? [`selfheal rollback ${incident.id}`] : [];
    default:
      return [`selfheal plan ${incident.id}`, `selfheal why ${incident.id}`];
  }
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
