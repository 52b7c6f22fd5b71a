// A fix proposes, the fixer disposes. A fix looks at the machine read-only and returns
// data: steps with their undo, and checks that prove the failed operation works again.

import type { Facts } from '../core/facts.ts';
import type { Incident } from '../core/incident.ts';
import type { Check, Step } from '../core/plan.ts';
import type { Autonomy, ErrorType, Family, Risk } from '../core/words.ts';
import type { Probe, ServiceFacts } from '../host/contract.ts';
import type { DrillKit } from '../testing/drill-kit.ts';

export interface FixContext {
  readonly incident: Incident;
  readonly service: ServiceFacts;
  readonly probe: Probe;
}

/** What a fix wants done. The planner adds guards, locks, neighbours' health, expiry and the hash. */
export interface Proposal {
  /** For the card: `install wordtrim 1.2.0 into the service's venv`. */
  readonly title: string;
  /** What was found on the machine, as sentences. */
  readonly why: string;
  /** Facts that a probe confirmed. */
  readonly facts: Facts;
  readonly steps: readonly Step[];
  readonly checks: readonly Check[];
  /** Resources touched: `path:/srv/agent/.venv`, `port:8080`, `host:disk`. `service:NAME` is added by the planner. */
  readonly resources: readonly string[];
  /** Default: the fix's own risk. */
  readonly risk?: Risk;
  /** The service must be restarted to take it in: the planner adds the step, or recommends it by policy. */
  readonly needsRestart: boolean;
  /** Set when this case must not run by itself whatever the configuration says, with the reason. */
  readonly mustAsk?: string;
}

export type Diagnosis =
  | { readonly kind: 'proposal'; readonly proposal: Proposal }
  /** The claim is not confirmed by the machine, or this fix does not fit: another may try. */
  | { readonly kind: 'not-applicable'; readonly reason: string }
  /**
   * This fix is the right one and must not act: a person has to. Ends the search, unless `openEnded`: then another fix may
   * still find the cause, and the reason is said when none does.
   */
  | {
      readonly kind: 'refused';
      readonly reason: string;
      readonly openEnded?: boolean;
      /** Two or three commands a person would use next, as they are typed. Made of what a probe has seen, never of a log. */
      readonly next?: readonly string[];
    }
  /** Right fix, wrong moment (a person is at work, the limit is not over): look again at `until` (epoch ms). */
  | { readonly kind: 'later'; readonly until: number; readonly reason: string };

/** A rehearsal that lives in the fix file and runs against a real, small world. */
export interface Drill {
  /** Sentence: `a pinned module is missing from the venv`. */
  readonly given: string;
  /** Builds the world in a scratch folder with real files, repositories, venvs and processes. */
  readonly world: (kit: DrillKit) => Promise<void>;
  /** What the log claimed. Absolute paths may use `{directory}`. */
  readonly facts: Facts;
  /** The line that told it, where the fix reads more than facts; `{directory}` as in facts. */
  readonly message?: string;
  readonly type: ErrorType;
  /** `root`: its world (a small file system) cannot be built by others; it is left out then. */
  readonly needs?: 'root';
  /** The kinds of the proposed steps in order, or the other ends a diagnosis can have. */
  readonly expect: readonly Step['kind'][] | 'not-applicable' | 'refused' | 'later';
}

/** A copy of a real service, for a rehearsal to damage. */
export interface ServiceCopy {
  readonly service: ServiceFacts;
  readonly probe: Probe;
  readonly kit: Pick<DrillKit, 'write' | 'sh'>;
}

/** What was damaged in a copy, and what a log would say of it. */
export interface Damage {
  /** Sentence: `wordtrim is taken out of the venv`. */
  readonly what: string;
  readonly type: ErrorType;
  readonly facts: Facts;
  readonly message: string;
}

export interface Fix {
  /** kebab-case, unique, equals the file name. */
  readonly name: string;
  readonly family: Family;
  /** What it does, for people, in a few words: `Install a missing Python package`. */
  readonly title: string;
  readonly handles: readonly ErrorType[];
  readonly risk: Risk;
  readonly scope: 'service' | 'host' | 'fleet';
  /** Freedom when the configuration says nothing. */
  readonly autonomy: Autonomy;
  /** Lower goes first when several fixes handle a type. Causes before symptoms. */
  readonly order: number;
  diagnose(context: FixContext): Promise<Diagnosis>;
  readonly drills: readonly Drill[];
  /** Does to a copy of a real service what the fix is for; null when the service has nothing of that kind. For `drill`. */
  readonly damage?: (copy: ServiceCopy) => Promise<Damage | null>;
}

export function defineFix(fix: Fix): Fix {
  return fix;
}

export const propose = (proposal: Proposal): Diagnosis => ({ kind: 'proposal', proposal });
export const notApplicable = (reason: string): Diagnosis => ({ kind: 'not-applicable', reason });
export const refuse = (reason: string, next?: readonly string[]): Diagnosis => ({
  kind: 'refused',
  reason,
  ...(next ? { next } : {}),
});
/** For a symptom: whoever finds the cause goes first. */
export const refuseUnlessMended = (reason: string, next?: readonly string[]): Diagnosis => ({
  kind: 'refused',
  reason,
  openEnded: true,
  ...(next ? { next } : {}),
});
export const later = (until: number, reason: string): Diagnosis => ({ kind: 'later', until, reason });
