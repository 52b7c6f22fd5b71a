// One process at one plan: what it was given, the journal it writes, and the points at which it may die.

import type { Clock } from '../core/clock.ts';
import type { Evidence, Outcome } from '../core/outcome.ts';
import type { Plan, Step } from '../core/plan.ts';
import { redact } from '../core/redact.ts';
import type { OutcomeKind } from '../core/words.ts';
import {
  EffectError,
  type AnyCheckRunner,
  type AnyEffect,
  type Effect,
  type EffectContext,
  type Probe,
  type Run,
} from '../host/contract.ts';
import type { JournalEntry, Store } from '../store/contract.ts';
import { lastClaim, stepStates, type Owner, type StepState } from './journal.ts';

/** What came back from the process that acts. */
export type HandsAnswer =
  /**
   * All steps are done and all checks passed; the settle time decides. With `beside` only the failed operation works again,
   * and that incident, which keeps the service down, has to be healed first: nothing is locked for it any more.
   */
  | { readonly kind: 'acted'; readonly evidence: readonly Evidence[]; readonly beside?: string }
  | { readonly kind: 'finished'; readonly outcome: Outcome }
  /** Nothing was tried and nothing touched: everything is paused, or somebody else holds what it needs. */
  | { readonly kind: 'put-off'; readonly reason: string }
  /** Another process is at this plan or at something it needs, alive. */
  | { readonly kind: 'busy'; readonly reason: string }
  /** It ended without an answer. Its journal says how far it came. */
  | { readonly kind: 'died'; readonly reason: string };

export const HANDS_VERBS = ['act', 'verify', 'undo', 'recover'] as const;
export type HandsVerb = (typeof HANDS_VERBS)[number];

/** Everything *hands* works with; `main.ts` puts it together. */
export interface HandsDeps {
  readonly store: Store;
  readonly stateDirectory: string;
  readonly effects: readonly AnyEffect[];
  readonly checks: readonly AnyCheckRunner[];
  readonly probe: Probe;
  readonly run: Run;
  readonly clock: Clock;
  /** Aborts when this process was asked to stop: no further step is begun, what was done is taken back. */
  readonly signal: AbortSignal;
  readonly self: Owner;
  /** SHA-256 as hex. */
  readonly digest: (text: string) => string;
  /** Makes (0700) and names the private folder of one step's snapshot. */
  readonly snapshotFolder: (plan: string, step: number) => Promise<string>;
  /** Called at each boundary with its name; tests end the process here. */
  readonly reach: (point: string) => Promise<void>;
  /** Takes a resource against every other process of this host; null when one has it. Default: nobody else is there. */
  readonly lockOnHost?: (resource: string) => Promise<(() => Promise<void>) | null>;
  /** Exact values that must not appear in anything stored, besides what looks like a secret. */
  readonly secrets: readonly string[];
  /** How long a check that depends on something coming up may take, in milliseconds. Default 15,000. */
  readonly patienceMs?: number;
}

/** How long the daemon may take to notice a wish of ours. */
const SUPERVISOR_MS = 30_000;
const SUPERVISOR_POLL_MS = 50;

export class Session {
  readonly deps: HandsDeps;
  readonly plan: Plan;
  #entries: JournalEntry[];
  readonly #held: (() => Promise<void>)[] = [];

  constructor(deps: HandsDeps, plan: Plan, entries: readonly JournalEntry[]) {
    this.deps = deps;
    this.plan = plan;
    this.#entries = [...entries];
  }

  get entries(): readonly JournalEntry[] {
    return this.#entries;
  }

  steps(): readonly StepState[] {
    return stepStates(this.#entries, this.plan.steps.length);
  }

  /** Held until the plan is over or this process ends. */
  holdOnHost(release: () => Promise<void>): void {
    this.#held.push(release);
  }

  async releaseHost(): Promise<void> {
    for (const release of this.#held.splice(0)) await release();
  }

  /** Writes one row and waits until it is on the disk. `point` names the boundary around it. */
  async write(point: string, entry: Pick<JournalEntry, 'step' | 'phase' | 'data'>): Promise<void> {
    const { store, clock, reach } = this.deps;
    await reach(`${point}.before`);
    this.#entries.push(await store.appendJournal({ ...entry, plan: this.plan.id, at: clock.now() }));
    await reach(`${point}.after`);
  }

  /** Texts of programs and of the machine may hold secrets: masked before they are stored, and cut. */
  clean(text: string): string {
    const masked = redact(text, this.deps.secrets);
    return masked.length > TEXT_CAP ? `${masked.slice(0, TEXT_CAP)}…` : masked;
  }

  /** Throws when a later process has taken the plan: ours must not touch the machine any more. */
  async assertMine(): Promise<void> {
    const { store, self } = this.deps;
    const claim = lastClaim(await store.journal(this.plan.id));
    if (claim?.pid === self.pid && claim.startTicks === self.startTicks && claim.boot === self.boot) return;
    throw new Error(`plan ${this.plan.id} was taken over by process ${claim?.pid}`);
  }

  outcome(kind: OutcomeKind, reason: string, evidence: readonly Evidence[], byHand?: string): Outcome {
    const outcome: Outcome = {
      kind,
      reason: this.clean(reason),
      evidence,
      at: this.deps.clock.now(),
      plan: this.plan.id,
    };
    return byHand === undefined ? outcome : { ...outcome, byHand: this.clean(byHand) };
  }

  /** Stores the outcome, then gives the locks back. */
  async finish(outcome: Outcome): Promise<HandsAnswer> {
    await this.write('finished', { step: -1, phase: 'finished', data: { outcome } });
    return this.over(outcome);
  }

  /** The plan is over without having been tried: it costs no attempt, and another one will be made. */
  async putOff(reason: string): Promise<HandsAnswer> {
    await this.finish(this.outcome('refused', reason, []));
    return { kind: 'put-off', reason: this.clean(reason) };
  }

  /** The answer for a plan whose outcome is stored. Its writer may have died before it gave the locks back. */
  async over(outcome: Outcome): Promise<HandsAnswer> {
    await this.#unlock();
    return { kind: 'finished', outcome };
  }

  /** The answer of a plan whose steps are done. While it waits for another one, that one must get at the service. */
  async acted(evidence: readonly Evidence[], beside?: string): Promise<HandsAnswer> {
    if (beside === undefined) return { kind: 'acted', evidence };
    await this.#unlock();
    return { kind: 'acted', evidence, beside };
  }

  async #unlock(): Promise<void> {
    for (const resource of this.plan.resources) await this.deps.store.unlock(resource, lockOwner(this.plan.id));
    await this.releaseHost();
  }

  effect(step: Step): Effect<never> | null {
    // The catalogue has one effect per kind of step, so an effect of this kind takes this very step.
    return (this.deps.effects.find((effect) => effect.kind === step.kind) as Effect<never> | undefined) ?? null;
  }

  async context(step: number, signal: AbortSignal): Promise<EffectContext> {
    const { run, clock, probe, store, snapshotFolder } = this.deps;
    return {
      plan: this.plan.id,
      step,
      snapshotDirectory: await snapshotFolder(this.plan.id, step),
      run,
      clock,
      signal,
      services: probe.services,
      goodCopyContent: async (id) => (await store.goodCopy(id))?.content ?? null,
      values: store,
      askSupervisor: (verb, service) => this.#askSupervisor(verb, service),
    };
  }

  async #askSupervisor(kind: 'start-service' | 'stop-service', service: string): Promise<void> {
    const { store, clock } = this.deps;
    const id = await store.request({ kind, subject: service, by: `hands:${this.plan.id}`, at: clock.now() });
    const deadline = clock.monotonic() + SUPERVISOR_MS;
    while (clock.monotonic() < deadline) {
      if (!(await store.isWaiting(id))) return;
      await clock.sleep(SUPERVISOR_POLL_MS);
    }
    // Taken back, so that a daemon that comes later does not do it out of the blue.
    if (!(await store.withdraw(id))) return;
    throw new EffectError(
      'timeout',
      `nobody supervises ${service}: the daemon did not answer for ${SUPERVISOR_MS / 1000} s`,
    );
  }
}

const TEXT_CAP = 2_000;

/** Locks belong to the plan, not to a process: what died half way stays locked until somebody has cleared it up. */
export const lockOwner = (plan: string) => `plan:${plan}`;

export const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
