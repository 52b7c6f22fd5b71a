// What operations answer: plain data, the same for every face. Faces only render it.

import type { DetectionRow } from './core/detection.ts';
import type { GatewayReport, ModelRoute } from './core/gateway.ts';
import type { IncidentRow, Sample } from './core/incident.ts';
import type { CheckResult, Plan } from './core/plan.ts';
import type { ErrorType, Severity } from './core/words.ts';
import type { FixSummary } from './engine/ledger.ts';
import type { TrustRow } from './engine/trust.ts';
import type { JournalEntry, LedgerRow, TimelineEntry } from './store/contract.ts';

/** Who asks: stored with every decision. `telegram:123456789`, `cli:root`. */
export type Person = string;

export interface ServiceHealth {
  readonly name: string;
  readonly running: boolean | 'unknown';
  readonly pid: number | null;
  readonly health: CheckResult;
  readonly openIncidents: number;
}

/** The next thing that happens to an incident if nobody does anything. */
export interface Due {
  readonly incident: string;
  /** `attempt`: a repair is tried; `verdict`: the repair counts as proven; `lapse`: the question runs out; `unsilenced`. */
  readonly what: 'attempt' | 'verdict' | 'lapse' | 'unsilenced';
  readonly at: string;
}

/** How selfheal itself is. */
export interface StatusAnswer {
  readonly daemon: {
    readonly running: boolean;
    readonly pid: number | null;
    readonly since: string | null;
    readonly lastCycleAt: string | null;
    /** When the next cycle is due; null when nothing runs. Problems are seen at once, whatever the cycle. */
    readonly nextCycleAt: string | null;
  };
  /** What happens by itself to incidents, soonest first. */
  readonly due: readonly Due[];
  readonly paused: {
    readonly by: string;
    readonly at: string;
    readonly reason: string;
    /** When it ends by itself; null when a person has to resume. */
    readonly until: string | null;
  } | null;
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
  /** The model gateway; null when none runs. */
  readonly gateway: GatewayReport | null;
  /** Where plans have sent model traffic. */
  readonly routes: readonly ModelRoute[];
}

export interface HealthAnswer {
  /** True only when everything is well and somebody is looking: never of a host that nobody watches. */
  readonly healthy: boolean;
  /** Is the monitor running? */
  readonly watching: boolean;
  /** Sources that cannot be read right now, with the reason. */
  readonly blind: readonly string[];
  readonly minutes: number;
  /** Problems seen within that time; one that was reported a hundred times is one. */
  readonly errors: number;
  readonly autoFixable: number;
  /** Open problems that a person has silenced: they do not count against health. */
  readonly silenced: number;
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

export type { TrustRow };

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
