// What a person can ask, whatever face they use: command line, chat, dashboard, library.
// Questions are answered from the store; wishes go through the same planner and fixer as everything else.

import type {
  ActionAnswer,
  ErrorsAnswer,
  FixAnswer,
  HealthAnswer,
  IncidentDetail,
  Person,
  PlanAnswer,
  ReportAnswer,
  StatusAnswer,
  WhyAnswer,
} from './answers.ts';
import type { OperationsDeps } from './asking/deps.ts';
import { Grouping } from './asking/grouping.ts';
import { Questions } from './asking/questions.ts';
import { Wishes } from './asking/wishes.ts';
import type { IncidentRow } from './core/incident.ts';
import type { FixSummary } from './engine/ledger.ts';
import type { TrustRow } from './engine/trust.ts';
import type { LedgerRow } from './store/contract.ts';

export type * from './answers.ts';
export type { OperationsDeps } from './asking/deps.ts';

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
  history(options?: { readonly limit?: number }): Promise<{
    readonly rows: readonly LedgerRow[];
    readonly summary: FixSummary;
    /** What fixes have earned on services; null unless the configuration says `trust: earned`. */
    readonly trust: readonly TrustRow[] | null;
  }>;
  /** Open ones, or all. Newest first. */
  incidents(options?: { readonly all?: boolean }): Promise<readonly IncidentRow[]>;
  incident(id: string): Promise<IncidentDetail | null>;
  plan(id: string): Promise<PlanAnswer | null>;
  /** Approves the plan that the incident waits with. With `hash`, only that exact plan. */
  approve(id: string, by: Person, hash?: string): Promise<ActionAnswer>;
  deny(id: string, by: Person, hash?: string): Promise<ActionAnswer>;
  /** Waits for the end, unless `signal` aborts: what was asked for goes on all the same. */
  rollback(id: string, by: Person, signal?: AbortSignal): Promise<ActionAnswer>;
  silence(id: string, forMs: number, by: Person): Promise<ActionAnswer>;
  /** Closes an incident that a person has seen to. Seen again, it is open again. */
  resolve(id: string, by: Person): Promise<ActionAnswer>;
  /** From now on what is seen of the one counts for the other: they are the same problem. Kept until `ungroup`. */
  merge(id: string, into: string, by: Person): Promise<ActionAnswer>;
  /** From now on records that differ in this fact (or in `message`) are different problems. Null: the fact in which the samples differ. */
  split(id: string, fact: string | null, by: Person): Promise<ActionAnswer>;
  /** Takes a merge or a split back. */
  ungroup(id: string, by: Person): Promise<ActionAnswer>;
  /**
   * Stops all acting of this state folder, also across restarts; watching goes on. Nothing is changed until `resume`, or for `forMs` milliseconds: maintenance that cannot be forgotten.
   */
  pause(by: Person, reason: string, forMs?: number): Promise<ActionAnswer>;
  resume(by: Person): Promise<ActionAnswer>;
  /** Explains a text or an incident by its id. */
  why(textOrId: string): Promise<WhyAnswer>;
  /** Takes in the newest upstream commits of each service's repository, through a plan like any other. */
  pullLatest(by: Person, service?: string): Promise<readonly ActionAnswer[]>;
  /** Starts or stops a supervised service. A stop is deliberate: nobody starts it again but a person. */
  control(service: string, verb: 'start' | 'stop', by: Person): Promise<ActionAnswer>;
  close(): Promise<void>;
}

export function createOperations(deps: OperationsDeps): Operations {
  const questions = new Questions(deps);
  const wishes = new Wishes(deps);
  const grouping = new Grouping(deps, (id, event) => wishes.change(id, event));
  return {
    status: () => questions.status(),
    health: (options) => questions.health(options),
    errors: (options) => questions.errors(options),
    report: () => questions.report(),
    history: (options) => questions.history(options),
    incidents: (options) => questions.incidents(options),
    incident: (id) => questions.incident(id),
    plan: (id) => questions.plan(id),
    why: (textOrId) => questions.why(textOrId),
    fix: (id, by, signal) => wishes.fix(id, by, signal),
    approve: (id, by, hash) => wishes.approve(id, by, hash),
    deny: (id, by, hash) => wishes.deny(id, by, hash),
    rollback: (id, by, signal) => wishes.rollback(id, by, signal),
    silence: (id, forMs, by) => wishes.silence(id, forMs, by),
    resolve: (id, by) => wishes.resolve(id, by),
    merge: (id, into, by) => grouping.merge(id, into, by),
    split: (id, fact, by) => grouping.split(id, fact, by),
    ungroup: (id, by) => grouping.ungroup(id, by),
    pause: (by, reason, forMs) => wishes.pause(by, reason, forMs),
    resume: (by) => wishes.resume(by),
    pullLatest: (by, service) => wishes.pullLatest(by, service),
    control: (service, verb, by) => wishes.control(service, verb, by),
    close: () => deps.close(),
  };
}
