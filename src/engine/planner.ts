// The planner asks the fixes what they would do, lets the guards object, and freezes the
// result into a plan. It decides; it never acts.

import type { Clock } from '../core/clock.ts';
import type { Incident } from '../core/incident.ts';
import { canonicalJson, hashedText, type Check, type Decision, type Plan, type Step } from '../core/plan.ts';
import { narrower, type Autonomy } from '../core/words.ts';
import type { Config, ServiceConfig } from '../config/contract.ts';
import type { Diagnosis, Fix, Proposal } from '../fixes/contract.ts';
import type { Probe } from '../host/contract.ts';
import {
  isPaused,
  type JournalEntry,
  type LedgerRow,
  type Pause,
  PAUSE_FILE,
  type Store,
  VALUE_KEYS,
} from '../store/contract.ts';
import { objection, type Breaker } from './guards.ts';
import { earnedTrust, TRUST_HORIZON_MS, type Trust } from './trust.ts';
import { causeOf, healedWith, mayBeTheNetwork, type Repaired } from './inhibition.ts';

interface Refusal {
  readonly kind: 'refused';
  readonly reason: string;
  readonly trips: boolean;
  /** What a person would type next, where the fix knows. */
  readonly next?: readonly string[];
}

/** What the planner makes of an incident. */
export type Considered = {
  /** Every fix that was asked, with what it said. */
  readonly asked: readonly { readonly fix: string; readonly said: string }[];
} & (
  | { readonly kind: 'plan'; readonly plan: Plan }
  | Refusal
  | { readonly kind: 'later'; readonly until: number; readonly reason: string }
  /** Another incident's repair took it away: proven there, and it was not seen since. */
  | { readonly kind: 'healed-with'; readonly incident: string; readonly reason: string }
  /** No fix of the catalogue fits. */
  | { readonly kind: 'nothing'; readonly reason: string }
);

export interface PlannerDeps {
  readonly config: Config;
  readonly fixes: readonly Fix[];
  readonly probe: Probe;
  readonly store: Store;
  readonly clock: Clock;
  readonly node: string;
  /** SHA-256 of a text, hex. */
  readonly digest: (text: string) => string;
  /** True when a rule of this name is the owner's and says `fixable: false`: then the plan asks. Default: none does. */
  readonly leftToPeople?: (rule: string) => Promise<boolean>;
}

export interface ConsiderOptions {
  /** A person asked for it: time limits and budgets do not hold, policy and proof do. */
  readonly requestedByPerson?: boolean;
  /** Plans of this incident that are not finished count as running. */
  readonly busyWith?: string | null;
}

const DAY_MS = 86_400_000;
const RUN_EXPIRES_MS = 600_000;
/** A question may wait for the morning, a risky one for an hour: hands re-checks the world anyway. */
const ASK_EXPIRES_MS = { safe: 12 * 3_600_000, reversible: 12 * 3_600_000, risky: 3_600_000 } as const;
const DIAGNOSIS_MS = 120_000;
const UP_FOR_MS = 2_000;
/** A host that is cut off is looked at again after this; after an hour it is no hiccup any more. */
const CUT_OFF_AGAIN_MS = 30_000;
const CUT_OFF_LONG_MS = 3_600_000;
const STILL_OPEN = ['open', 'awaiting-approval', 'healing', 'verifying', 'needs-human'] as const;
/** A proof is looked for this long after its settle time. */
const PROOF_MS = 1_000;
/** So many answers of fixes are read in a message; more of them stand in the dry run. */
const FEW = 2;

/** What a fix has proposed, and how far it may go. */
interface Offer {
  readonly fix: Fix;
  readonly proposal: Proposal;
  readonly autonomy: Autonomy;
  /** Why it may go further, or less far, than configured. */
  readonly because: string | null;
  readonly askBecause: string | null;
}

/** What came of asking one fix. `said` is for people. */
type Answer =
  | { readonly kind: 'no'; readonly said: string }
  /** A guard, or the fix itself, is against this one and not against others. */
  | { readonly kind: 'ruled-out'; readonly said: string; readonly byFix?: boolean; readonly next?: readonly string[] }
  | { readonly kind: 'offer' | 'again'; readonly said: string; readonly offer: Offer }
  /** No other fix needs to be asked. */
  | {
      readonly kind: 'end';
      readonly said: string;
      readonly by: 'guard' | 'fix';
      readonly end: Refusal | { readonly kind: 'later'; readonly until: number; readonly reason: string };
    };

const refusal = (reason: string, next?: readonly string[]): Answer => ({
  kind: 'end',
  said: reason,
  by: 'fix',
  end: { kind: 'refused', reason, trips: false, ...(next ? { next } : {}) },
});

/** What restarting adds to a plan. */
interface Restart {
  readonly kind: Plan['restart'];
  readonly mustAsk: string | null;
  readonly steps: readonly Step[];
  readonly checks: readonly Check[];
}

const NO_RESTART = { mustAsk: null, steps: [], checks: [] } as const;

export class Planner {
  readonly #deps: PlannerDeps;

  constructor(deps: PlannerDeps) {
    this.#deps = deps;
  }

  /** Finds the first fix that fits and returns its plan with a decision, or the reason why there is none. */
  async consider(incident: Incident, options: ConsiderOptions = {}): Promise<Considered> {
    const considered = await this.#askAll(incident, options);
    const isStuck = considered.kind === 'nothing' || (considered.kind === 'refused' && !considered.trips);
    if (!isStuck || options.requestedByPerson) return considered;
    return (await this.#healedWith(incident, considered.asked)) ?? considered;
  }

  async #askAll(incident: Incident, options: ConsiderOptions): Promise<Considered> {
    const asked: { fix: string; said: string }[] = [];
    const service = this.#deps.config.services.find((s) => s.name === incident.service);
    if (!service) return { kind: 'nothing', reason: `service ${incident.service} is not configured`, asked };
    const cut = options.requestedByPerson ? null : await this.#cutOff(incident);
    if (cut) return { ...cut, asked };
    const planOf = async (offer: Offer): Promise<Considered> => ({
      kind: 'plan',
      plan: await this.#freeze(incident, service, offer),
      asked,
    });
    /** Safe, and of no use the last time: only when nothing else can be tried. */
    let again: Offer | null = null;
    let ruledOut: Extract<Answer, { kind: 'ruled-out' }> | null = null;
    for (const fix of this.#candidates(incident, service, options)) {
      const answer = await this.#ask(fix, incident, service, options);
      asked.push({ fix: fix.name, said: answer.said });
      if (answer.kind === 'offer') return planOf(answer.offer);
      if (answer.kind === 'again') again ??= answer.offer;
      if (answer.kind === 'ruled-out') ruledOut ??= answer;
      if (answer.kind !== 'end') continue;
      if (again && answer.by === 'fix') break;
      return { ...answer.end, asked };
    }
    if (again) return planOf(again);
    // A start that was ruled out is what a person should hear of a crash; of anything else a guard's word says nothing.
    if (ruledOut !== null && (hasDied(incident) || ruledOut.byFix)) {
      const { said: reason, next } = ruledOut;
      return { kind: 'refused', reason, trips: false, ...(next ? { next } : {}), asked };
    }
    return { kind: 'nothing', reason: nothingFits(asked), asked };
  }

  /**
   * A host without a network, or without names, explains what speaks of neither answering, of whatever service: no fix
   * is asked, nothing is restarted, no attempt is spent. Only what the machine itself confirms counts.
   */
  async #cutOff(incident: Incident): Promise<Refusal | { kind: 'later'; until: number; reason: string } | null> {
    const { store, clock, probe } = this.#deps;
    const now = clock.now();
    const active = incident.type === 'service_crash' ? await store.incidents({ states: STILL_OPEN, limit: 500 }) : [];
    if (!mayBeTheNetwork(incident, active, now) || !(await probe.network.offline())) return null;
    if (now - incident.firstSeen > CUT_OFF_LONG_MS) {
      const reason = 'this host has had no network for an hour: look at its link, its route and its resolver';
      return { kind: 'refused', reason, trips: false, next: ['ip route', 'ip -brief link', 'cat /etc/resolv.conf'] };
    }
    return {
      kind: 'later',
      until: now + CUT_OFF_AGAIN_MS,
      reason:
        'this host is cut off (no route, no name, no configured peer answers), which explains it; nothing is done',
    };
  }

  /** What the guards and the fix itself say to one fix for one incident. */
  async #ask(fix: Fix, incident: Incident, service: ServiceConfig, options: ConsiderOptions): Promise<Answer> {
    const { autonomy, reason: because } = await this.#autonomy(fix, service);
    if (autonomy === 'off') return { kind: 'no', said: 'switched off for this service' };
    const guard = await this.#object(incident, fix, autonomy, options);
    const said = guard?.reason ?? '';
    switch (guard?.kind) {
      case 'skip':
        return { kind: 'ruled-out', said };
      case 'later':
        return { kind: 'end', said, by: 'guard', end: { kind: 'later', until: guard.until, reason: said } };
      case 'refuse':
      case 'trip':
        return {
          kind: 'end',
          said,
          by: 'guard',
          end: { kind: 'refused', reason: said, trips: guard.kind === 'trip' },
        };
      case 'ask':
      case undefined:
        return this.#answerOf(fix, incident, service, { autonomy, because, askBecause: guard?.reason ?? null });
    }
  }

  async #answerOf(
    fix: Fix,
    incident: Incident,
    service: ServiceConfig,
    freedom: Pick<Offer, 'autonomy' | 'because' | 'askBecause'>,
  ): Promise<Answer> {
    const diagnosis = await this.#diagnose(fix, incident, service);
    switch (diagnosis.kind) {
      case 'not-applicable':
        return { kind: 'no', said: diagnosis.reason };
      case 'refused':
        return diagnosis.openEnded
          ? {
              kind: 'ruled-out',
              said: diagnosis.reason,
              byFix: true,
              ...(diagnosis.next ? { next: diagnosis.next } : {}),
            }
          : refusal(diagnosis.reason, diagnosis.next);
      case 'later': {
        const { until, reason } = diagnosis;
        return { kind: 'end', said: reason, by: 'fix', end: { kind: 'later', until, reason } };
      }
      case 'proposal': {
        const { proposal } = diagnosis;
        const flaw = flawOf(proposal);
        if (flaw) return refusal(`${fix.name}: ${flaw}`);
        const offer: Offer = { fix, proposal, ...freedom };
        if (!(await this.#failedBefore(incident, fix, proposal))) return { kind: 'offer', said: proposal.title, offer };
        const said = 'exactly this was tried before and did not last';
        return (proposal.risk ?? fix.risk) === 'safe' ? { kind: 'again', said, offer } : { kind: 'no', said };
      }
    }
  }

  async #healedWith(incident: Incident, asked: Considered['asked']): Promise<Considered | null> {
    const repaired = await this.#repaired(incident.service);
    const healer = healedWith(incident, repaired)?.incident;
    if (!healer) return null;
    if (healer.state.name === 'verifying') {
      const reason = `waits for the proof of incident ${healer.id}, whose repair may have taken it away too`;
      const until = Math.max(healer.state.quietUntil, this.#deps.clock.now()) + PROOF_MS;
      return { kind: 'later', until, reason, asked };
    }
    const reason = `not seen since incident ${healer.id} was healed (${healer.reason})`;
    return { kind: 'healed-with', incident: healer.id, reason, asked };
  }

  /** What was repaired on this service within a day. A repair that is proven was done a settle time before its proof. */
  async #repaired(service: string): Promise<readonly Repaired[]> {
    const { store, clock, fixes } = this.#deps;
    const found: Repaired[] = [];
    for (const incident of await store.incidents({ service, since: clock.now() - DAY_MS, limit: 200 })) {
      const { state, outcome } = incident;
      const handles = fixes.find((fix) => fix.name === incident.fix)?.handles ?? [];
      // One that waits for another problem has proven nothing yet.
      if (state.name === 'verifying' && state.beside === undefined) found.push({ incident, at: state.since, handles });
      if (state.name !== 'resolved' || outcome?.kind !== 'fixed' || !outcome.plan) continue;
      const plan = await store.plan(outcome.plan);
      if (plan) found.push({ incident, at: outcome.at - plan.settleMs, handles });
    }
    return found;
  }

  /** Fixes for the problem itself first, then for what it has brought about. */
  #candidates(incident: Incident, service: ServiceConfig, options: ConsiderOptions): readonly Fix[] {
    const byOrder = (a: Fix, b: Fix) => a.order - b.order;
    const handling = (types: readonly string[]) =>
      this.#deps.fixes.filter((f) => f.handles.some((t) => types.includes(t))).sort(byOrder);
    // What may be an imitation leads to nothing; that the service has died all the same is no text.
    const own = incident.trusted || options.requestedByPerson ? handling([incident.type]) : [];
    const symptoms =
      service.command || service.restart ? handling(incident.symptoms).filter((f) => !own.includes(f)) : [];
    return [...own, ...symptoms];
  }

  async #autonomy(fix: Fix, service: ServiceConfig): Promise<Pick<Trust, 'autonomy' | 'reason'>> {
    const configured = service.fixes[fix.family] ?? fix.autonomy;
    if (this.#deps.config.trust !== 'earned') return { autonomy: configured, reason: null };
    const now = this.#deps.clock.now();
    const query = { service: service.name, fix: fix.name, since: now - TRUST_HORIZON_MS };
    return earnedTrust(configured, await this.#deps.store.ledger(query), now);
  }

  async #object(incident: Incident, fix: Fix, autonomy: Autonomy, options: ConsiderOptions) {
    const { config, store, clock, probe } = this.#deps;
    const now = clock.now();
    const [ledger, active, pause, file, breaker, state, leftToPeople] = await Promise.all([
      store.ledger({ since: now - DAY_MS }),
      store.incidents({ states: STILL_OPEN, limit: 500 }),
      store.value<Pause>(VALUE_KEYS.pause),
      this.#pausedByFile(),
      store.value<Breaker>(VALUE_KEYS.breaker),
      probe.services.state(incident.service),
      this.#deps.leftToPeople?.(incident.rule) ?? false,
    ]);
    return objection({
      incident,
      fix,
      autonomy,
      now,
      autoFix: config.enabled && config.autoFix,
      autoFixTypes: config.autoFixTypes,
      maxAttempts: config.maxAutoFixAttempts,
      paused: isPaused(pause, now) ? pause.reason : file,
      breaker: breaker ?? { open: false, reason: '' },
      limits: config.limits,
      ledger: newestFirst(ledger),
      newLastMinute: active.filter((i) => now - i.firstSeen < 60_000).length,
      stoppedOnPurpose: state.stoppedOnPurpose,
      busyWith: options.busyWith ?? null,
      cause: causeOf(incident, active, now),
      leftToPeople,
      requestedByPerson: options.requestedByPerson ?? false,
    });
  }

  /** The switch that works without the program. One that cannot be looked at counts as on. */
  async #pausedByFile(): Promise<string | null> {
    const path = `${this.#deps.config.state}/${PAUSE_FILE}`;
    const { kind } = await this.#deps.probe.files.status(path);
    return kind === 'absent' ? null : `by the file ${path}`;
  }

  /** A fix that throws or hangs is a bug of ours, and must not stop the healing of others. */
  async #diagnose(fix: Fix, incident: Incident, service: ServiceConfig): Promise<Diagnosis> {
    const stop = new AbortController();
    const tooLong = this.#deps.clock
      .sleep(DIAGNOSIS_MS, stop.signal)
      .then((): Diagnosis => ({ kind: 'not-applicable', reason: 'the diagnosis took too long' }));
    try {
      return await Promise.race([fix.diagnose({ incident, service, probe: this.#deps.probe }), tooLong]);
    } catch (error) {
      return {
        kind: 'not-applicable',
        reason: `the diagnosis failed: ${error instanceof Error ? error.message : String(error)}`,
      };
    } finally {
      stop.abort();
    }
  }

  /** The same steps that did not last are not repeated; only safe ones (a restart, a wait) may, when nothing else fits. */
  async #failedBefore(incident: Incident, fix: Fix, proposal: Proposal): Promise<boolean> {
    const steps = canonicalJson(proposal.steps);
    const rows = await this.#deps.store.ledger({
      service: incident.service,
      fix: fix.name,
      since: this.#deps.clock.now() - DAY_MS,
    });
    for (const row of rows) {
      if (row.incident !== incident.id || row.outcome.kind === 'fixed' || row.outcome.kind === 'refused') continue;
      const plan = await this.#deps.store.plan(row.plan);
      if (!plan || canonicalJson(plan.steps.slice(0, proposal.steps.length)) !== steps) continue;
      if (wasTried(await this.#deps.store.journal(row.plan))) return true;
    }
    return false;
  }

  async #freeze(incident: Incident, service: ServiceConfig, offer: Offer): Promise<Plan> {
    const { fix, proposal } = offer;
    const { clock, store, digest, node } = this.#deps;
    const now = clock.now();
    const restart = await this.#restart(incident, service, proposal);
    const decision = decide(offer, restart.mustAsk);
    const risk = proposal.risk ?? fix.risk;
    const number = 1 + Math.max(0, ...(await store.plansOf(incident.id)).map(({ id }) => Number(id.split('-').at(-1))));
    const plan: Omit<Plan, 'hash'> = {
      // Numbers are never used twice, also when old plans are gone.
      id: `${incident.id}-${number}`,
      incident: incident.id,
      service: service.name,
      node,
      fix: fix.name,
      family: fix.family,
      type: incident.type,
      title: proposal.title,
      why: proposal.why,
      facts: proposal.facts,
      steps: [...proposal.steps, ...restart.steps],
      checks: [...provable(incident, proposal, restart), ...restart.checks, ...(await this.#neighbours(service))],
      settleMs: settleMs(service, incident),
      risk,
      scope: fix.scope,
      restart: restart.kind,
      // Services that share a folder share what is in it.
      resources: [...new Set([`service:${service.name}`, `path:${service.directory}`, ...proposal.resources])],
      decision,
      createdAt: now,
      expiresAt: now + (decision.verdict === 'run' ? RUN_EXPIRES_MS : ASK_EXPIRES_MS[risk]),
    };
    return { ...plan, hash: digest(hashedText(plan)) };
  }

  /**
   * Restarting is part of the plan where policy lets it happen by itself, else a recommendation. A service that this
   * problem has brought down is started in any case, for nothing is healed before it runs: then policy makes the plan ask.
   */
  async #restart(incident: Incident, service: ServiceConfig, proposal: Proposal): Promise<Restart> {
    const via = service.command ? ({ kind: 'supervised' } as const) : service.restart;
    if (proposal.steps.some((s) => s.kind === 'restart')) return { kind: 'done', ...NO_RESTART };
    const { stoppedOnPurpose, running } = await this.#deps.probe.services.state(service.name);
    if (stoppedOnPurpose) return { kind: 'none', ...NO_RESTART };
    const isDown = running === false && hasDied(incident);
    if (!proposal.needsRestart && !isDown) return { kind: 'none', ...NO_RESTART };
    const policy = service.fixes['restart-service'] ?? 'auto';
    if (!via || (policy !== 'auto' && !isDown)) return { kind: 'recommended', ...NO_RESTART };
    return {
      kind: 'done',
      mustAsk: policy === 'auto' ? null : `it starts ${service.name} again, and restart-service is set to ${policy}`,
      steps: [
        {
          kind: 'restart',
          title: `restart ${service.name}`,
          service: service.name,
          via,
          undo: { kind: 'none', reason: 'a started service is not stopped again' },
        },
      ],
      checks: [
        {
          kind: 'running-anew',
          title: `${service.name} runs anew`,
          proves: 'operation',
          failsBefore: false,
          service: service.name,
          forMs: UP_FOR_MS,
        },
      ],
    };
  }

  /** What worked before must work afterwards. */
  async #neighbours(service: ServiceConfig): Promise<Check[]> {
    const { probe } = this.#deps;
    const others = this.#deps.config.services.filter((s) => s.name !== service.name && s.health);
    const healthy = await Promise.all(
      others.map(async (s) => ((await probe.services.health(s.name)).passed === true ? s : null)),
    );
    return healthy.flatMap((s) =>
      s
        ? [
            {
              kind: 'health',
              title: `${s.name} still answers`,
              proves: 'neighbour',
              failsBefore: false,
              service: s.name,
            } as const,
          ]
        : [],
    );
  }
}

const hasDied = ({ type, symptoms }: Incident): boolean =>
  type === 'service_crash' || symptoms.includes('service_crash');

/** Where the plan starts what this problem has brought down, staying up is the failed operation, and it is tried. */
function provable(incident: Incident, { checks }: Proposal, restart: Restart): readonly Check[] {
  const isTried = restart.kind === 'done' && hasDied(incident);
  return isTried ? checks.filter(({ kind }) => kind !== 'untried') : checks;
}

/** Longer than the problem's own period, as far as that stays sensible: at most ten times the configured settle time. */
function settleMs(service: ServiceConfig, incident: Incident): number {
  if (incident.count < 2) return service.settleMs;
  const periodMs = (incident.lastSeen - incident.firstSeen) / (incident.count - 1);
  return Math.round(Math.min(Math.max(service.settleMs, periodMs * 1.5), service.settleMs * 10));
}

function decide(
  { fix, proposal, autonomy: allowed, because, askBecause }: Offer,
  restartAsks: string | null,
): Decision {
  const mustAsk = proposal.mustAsk ?? askBecause ?? restartAsks;
  const autonomy = mustAsk ? narrower(allowed, 'approve') : allowed;
  if (autonomy === 'auto') return { verdict: 'run', autonomy, reason: because ?? `${fix.family} may run by itself` };
  return { verdict: 'ask', autonomy, reason: mustAsk ?? because ?? `${fix.family} is set to ${autonomy}` };
}

/** A plan that nothing could prove, or that has no way back and no reason, is never made. */
function flawOf(proposal: Proposal): string | null {
  if (proposal.steps.length === 0) return 'the plan has no steps';
  if (!proposal.checks.some((c) => c.proves === 'operation')) return 'nothing would prove the failed operation';
  return null;
}

function nothingFits(asked: readonly { fix: string; said: string }[]): string {
  if (asked.length === 0) return 'no fix is known for this';
  if (asked.length > FEW) return `no fix fits: ${asked.length} were asked, and the dry run says what each has found`;
  return `no fix fits (${asked.map(({ fix, said }) => `${fix}: ${said}`).join('; ')})`;
}

/** A plan that a death has cut short says nothing about its steps: it broke off by itself, or its checks were tried. */
function wasTried(journal: readonly JournalEntry[]): boolean {
  const isResult = ({ phase, step, data }: JournalEntry): boolean =>
    (phase === 'failed' && step >= 0 && data['touched'] !== false) ||
    (phase === 'checked' && data['when'] !== 'before');
  return journal.length === 0 || journal.some(isResult);
}

function newestFirst(rows: readonly LedgerRow[]): readonly LedgerRow[] {
  return [...rows].sort((a, b) => b.outcome.at - a.outcome.at);
}
