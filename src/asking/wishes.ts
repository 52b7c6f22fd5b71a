// The wishes of a person: decisions, pauses, fixes on request. Each goes the way of every fix, through
// the store and the fixer, whoever asks and wherever.

import type { ActionAnswer, FixAnswer, Person } from '../answers.ts';
import { advance, incidentRow, type Incident, type IncidentEvent, type IncidentStateName } from '../core/incident.ts';
import { VALUE_KEYS } from '../store/contract.ts';
import type { Breaker } from '../engine/guards.ts';
import { planToTakeBack } from '../engine/left-behind.ts';
import type { OperationsDeps } from './deps.ts';

const SETTLED: readonly IncidentStateName[] = ['resolved', 'needs-human', 'awaiting-approval', 'silenced'];
const FIX_AT_MOST = 20;
/** Longest wait for the outcome of a fix: fifteen minutes. */
const WAIT_FOR_FIX_MS = 900_000;
const CONTROL_MS = 15_000;

export class Wishes {
  readonly #d: OperationsDeps;

  constructor(deps: OperationsDeps) {
    this.#d = deps;
  }

  async fix(id: string | null, by: Person, signal?: AbortSignal): Promise<FixAnswer> {
    const wanted = id ? [id] : (await this.#fixable()).map((i) => i.id);
    const breaker = await this.#d.store.value<Breaker>(VALUE_KEYS.breaker);
    // One may be healed by name while the breaker is open; all of them at once is what it is there against.
    if (id === null && breaker?.open) return this.#stopped(wanted, breaker.reason);
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

  async #stopped(ids: readonly string[], reason: string): Promise<FixAnswer> {
    const found = (await Promise.all(ids.map((id) => this.#d.store.incident(id)))).filter((i) => i !== null);
    const said = `the host's breaker is open (${reason}); \`selfheal resume\` closes it`;
    const results = found.map((incident) => ({ incident: incidentRow(incident), said }));
    return { attempted: 0, successful: 0, failed: 0, asking: 0, results, restartRecommended: [] };
  }

  approve(id: string, by: Person, hash?: string): Promise<ActionAnswer> {
    return this.#decide(id, by, 'approved', hash);
  }

  deny(id: string, by: Person, hash?: string): Promise<ActionAnswer> {
    return this.#decide(id, by, 'denied', hash);
  }

  async rollback(id: string, by: Person, signal?: AbortSignal): Promise<ActionAnswer> {
    const incident = await this.#d.store.incident(id);
    if (!incident) return unknownIncident(id);
    const plan = await planToTakeBack(this.#d.store, id);
    if (!plan) return no(`nothing was done for incident ${id} that could be rolled back`, incident);
    const { outcome } = incident;
    if (outcome?.kind === 'rolled-back' && outcome.plan === plan.id)
      return no(`what was done for incident ${id} has been taken back already`, incident);
    const daemon = await this.#d.daemon();
    if (daemon.running) {
      await this.#d.store.request({ kind: 'rollback', subject: id, by, at: this.#d.clock.now() });
      const done = await this.#until(
        id,
        ({ revision, outcome: now }) =>
          revision > incident.revision && (now?.at !== outcome?.at || now?.undoneBy !== outcome?.undoneBy),
        signal,
      );
      if (signal?.aborted)
        return no(`it was asked for and goes on; \`selfheal incident ${id}\` says what came of it`, incident);
      return this.#said(done, done?.outcome?.kind === 'rolled-back');
    }
    await this.#d.alone(async (signal) => void (await this.#d.fixer.rollBack(id, by, signal)));
    const after = await this.#d.store.incident(id);
    return this.#said(after, after?.outcome?.kind === 'rolled-back');
  }

  async silence(id: string, forMs: number, by: Person): Promise<ActionAnswer> {
    const until = this.#d.clock.now() + forMs;
    const done = await this.change(id, { kind: 'silenced', by, until });
    return done ? yes(`incident ${id} is silenced until ${iso(until)}`, done) : this.#impossible(id, 'be silenced');
  }

  /** A person has seen to it. Seen again, it is a problem again. */
  async resolve(id: string, by: Person): Promise<ActionAnswer> {
    const at = this.#d.clock.now();
    const reason = `closed by ${by}`;
    const done = await this.change(id, { kind: 'cleared', at, by: 'person', reason, cause: null, outcome: null });
    return done
      ? yes(`incident ${id} is closed; it opens again when it is seen again`, done)
      : this.#impossible(id, 'be closed');
  }

  async pause(by: Person, reason: string, forMs?: number): Promise<ActionAnswer> {
    const at = this.#d.clock.now();
    const until = forMs === undefined ? undefined : at + forMs;
    await this.#d.store.setValue(VALUE_KEYS.pause, { by, at, reason, ...(until === undefined ? {} : { until }) });
    const end = until === undefined ? '`resume`' : `${new Date(until).toISOString()} or \`resume\``;
    const { running } = await this.#d.daemon();
    const unused = `no selfheal runs on the state folder ${this.#d.config.state}; one that uses another folder is not paused`;
    const message = running
      ? `paused: watching goes on, nothing is changed until ${end}`
      : `paused until ${end}, but ${unused}`;
    return { ok: true, message, incident: null };
  }

  async resume(by: Person): Promise<ActionAnswer> {
    await this.#d.store.setValue(VALUE_KEYS.pause, null);
    await this.#d.store.setValue(VALUE_KEYS.breaker, { open: false, reason: `closed by ${by}` });
    this.#d.fixer.wake();
    return { ok: true, message: 'resumed: fixes may run again', incident: null };
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

  async #fixable(): Promise<readonly Incident[]> {
    const found = await this.#d.store.incidents({ states: ['open', 'needs-human'], limit: 500 });
    // Who asks for all has not looked at each: what is no more to be tried, or may be an imitation, is asked for by name.
    const { maxAutoFixAttempts } = this.#d.config;
    return found.filter((i) => i.fixable && i.trusted && i.attempts < maxAutoFixAttempts).slice(0, FIX_AT_MOST);
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
      return no(`the plan has expired; \`selfheal fix ${id}\` makes a new one`, incident);
    if ((await store.journal(plan.id)).length > 0)
      return no(`plan ${plan.id} was begun already; \`selfheal fix ${id}\` makes a new one`, incident);
    const before = await store.approval(plan.id);
    if (before) return no(`already ${before.verdict} by ${before.by}`, incident);
    if (!(await store.decide({ plan: plan.id, hash: plan.hash, verdict, by, at: clock.now() })))
      return no('somebody else has just decided', incident);
    // A suggestion becomes a question that is answered already.
    if (verdict === 'approved' && incident.state.name === 'needs-human')
      await this.change(id, {
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
      const again = await this.change(known.id, {
        kind: 'seen',
        at: now,
        times: 1,
        severity: 'low',
        facts: {},
        trusted: true,
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
      trusted: true,
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
    const plans = await Promise.all(incidents.map(async (i) => (i.plan ? this.#d.store.plan(i.plan) : null)));
    return [...new Set(plans.flatMap((p) => (p?.restart === 'recommended' ? [p.service] : [])))];
  }

  /** Stores what follows from an event, and says so; null when it is not possible in this state. */
  async change(id: string, event: IncidentEvent): Promise<Incident | null> {
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
