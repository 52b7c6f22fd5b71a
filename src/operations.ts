// What a person can ask, whatever face they use: command line, chat, dashboard, library.
// Answers are data; faces only render them.

import type { DetectionRow } from './core/detection.ts';
import type { IncidentRow, Sample } from './core/incident.ts';
import type { CheckResult, Plan } from './core/plan.ts';
import type { ErrorType, Severity } from './core/words.ts';
import type { FixSummary } from './engine/ledger.ts';
import type { JournalEntry, LedgerRow, TimelineEntry } from './store/contract.ts';

/** Who asks: stored with every decision. `telegram:123456789`, `cli:root`. */
export type Person = string;

export interface ServiceHealth {
  readonly name: string;
  readonly running: boolean | 'unknown';
  readonly health: CheckResult;
  readonly openIncidents: number;
}

/** How selfheal itself is. */
export interface StatusAnswer {
  readonly daemon: {
    readonly running: boolean;
    readonly pid: number | null;
    readonly since: string | null;
    readonly lastCycleAt: string | null;
  };
  readonly paused: { readonly by: string; readonly at: string; readonly reason: string } | null;
  readonly breaker: { readonly open: boolean; readonly reason: string };
  readonly autoFix: boolean;
  readonly sources: readonly {
    readonly id: string;
    readonly blindSince: string | null;
    readonly reason: string;
    readonly lagBytes: number;
  }[];
  readonly services: readonly ServiceHealth[];
  readonly incidents: Readonly<Record<string, number>>;
  readonly outbox: { readonly pending: number; readonly failed: number };
}

export interface HealthAnswer {
  readonly healthy: boolean;
  readonly minutes: number;
  /** Occurrences, not incidents. */
  readonly errors: number;
  readonly autoFixable: number;
  readonly bySeverity: Readonly<Record<Severity, number>>;
  readonly recent: readonly IncidentRow[];
  readonly services: readonly ServiceHealth[];
}

export interface ErrorsAnswer {
  readonly minutes: number;
  readonly total: number;
  readonly autoFixable: number;
  readonly byType: Readonly<Partial<Record<ErrorType, number>>>;
  readonly incidents: readonly IncidentRow[];
}

export interface ReportAnswer {
  readonly errors: ErrorsAnswer;
  readonly fixes: FixSummary;
  readonly open: readonly IncidentRow[];
  readonly history: readonly LedgerRow[];
}

export interface FixAnswer {
  readonly attempted: number;
  readonly successful: number;
  readonly failed: number;
  /** Plans that wait for a person. */
  readonly asking: number;
  readonly results: readonly { readonly incident: IncidentRow; readonly said: string }[];
  readonly restartRecommended: readonly string[];
}

export interface IncidentDetail {
  readonly incident: IncidentRow;
  readonly samples: readonly Sample[];
  readonly timeline: readonly TimelineEntry[];
  readonly plan: Plan | null;
  readonly journal: readonly JournalEntry[];
  /** The two or three commands a person would use next. */
  readonly next: readonly string[];
}

/** A dry run: what would be done and why it may or may not run. */
export interface PlanAnswer {
  readonly incident: IncidentRow;
  readonly plan: Plan | null;
  readonly reason: string;
  /** Every fix that was asked, with what it said. */
  readonly considered: readonly { readonly fix: string; readonly said: string }[];
}

/** What became of a wish that changes something. `ok` false carries the reason and what to do. */
export interface ActionAnswer {
  readonly ok: boolean;
  readonly message: string;
  readonly incident: IncidentRow | null;
}

export interface WhyAnswer {
  readonly detection: DetectionRow | null;
  /** Reason of the rule that matched, or why nothing is reported. */
  readonly because: string;
  readonly nearMisses: readonly { readonly rule: string; readonly because: string }[];
  /** Masks that turned the message into its template, in order. */
  readonly masks: readonly { readonly from: string; readonly to: string }[];
  readonly fingerprint: { readonly place: string; readonly kind: string; readonly template: string } | null;
  readonly incident: IncidentRow | null;
}

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
  close(): Promise<void>;
}
