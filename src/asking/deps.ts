// What operations are made from. The composition root hands it in.

import type { WhyAnswer } from '../answers.ts';
import type { Config } from '../config/contract.ts';
import type { Clock } from '../core/clock.ts';
import type { AutoFixer, HealingChange } from '../engine/fixer.ts';
import type { Planner } from '../engine/planner.ts';
import type { Probe } from '../host/contract.ts';
import type { Store } from '../store/contract.ts';

export interface OperationsDeps {
  readonly config: Config;
  readonly store: Store;
  readonly planner: Planner;
  readonly fixer: AutoFixer;
  readonly probe: Probe;
  readonly clock: Clock;
  readonly node: string;
  readonly explain: (text: string) => Promise<Omit<WhyAnswer, 'incident'>>;
  /** Who runs the flows: this process, another one, or nobody. */
  readonly daemon: () => Promise<{ readonly running: boolean; readonly here: boolean; readonly pid: number | null }>;
  /** Runs `work` as the only acting process of this host, for when no daemon is there. */
  readonly alone: (work: (signal: AbortSignal) => Promise<void>) => Promise<void>;
  /** After each stored change, so that the outbox hears of it. */
  readonly changed: (change: HealingChange) => void | Promise<void>;
  readonly close: () => Promise<void>;
}
