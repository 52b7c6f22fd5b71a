// What the command line needs of the program behind it. src/cli.ts fills it in with lazy imports, so that
// a command loads only what it uses, and faces stay below the composition root.

import type { Config } from '../config/contract.ts';
import type { LoadOptions } from '../config/load.ts';
import type { DetectionRow } from '../core/detection.ts';
import type { Incident } from '../core/incident.ts';
import type { Operations } from '../operations.ts';
import type { Log } from '../telemetry/log.ts';

/** A running monitor. */
export interface RunningApp {
  /** Resolves once the sources are followed. */
  start(): Promise<{ readonly dashboard: string | null; readonly gateway: string | null }>;
  /** Ends everything in order; further calls share the first. */
  stop(): Promise<void>;
}

/** Who looks on while a monitor runs. */
export interface Sight {
  /** Gets every byte that supervised programs write. */
  readonly echo?: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void;
  /** Called after every stored change of an incident. */
  readonly onChange?: (incident: Incident) => void;
}

export type ScanStep =
  | {
      readonly kind: 'found';
      readonly input: string;
      readonly rows: readonly DetectionRow[];
      readonly lines: number;
      readonly readBytes: number;
      readonly totalBytes: number | null;
    }
  | { readonly kind: 'problem'; readonly input: string; readonly message: string };

export interface ScanRequest {
  /** Paths; `-` is the given standard input. */
  readonly files: readonly string[];
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly since: number | undefined;
  readonly signal: AbortSignal;
  /** Own rules and severities come from here. */
  readonly config: Config | null;
}

/** One thing that `doctor` looked at. */
export interface Finding {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'problem';
  readonly text: string;
  /** What to do about it. */
  readonly advice?: string;
}

export interface RuleTest {
  readonly rows: readonly DetectionRow[];
  /** Samples of the user's rules that do not behave as they say. */
  readonly problems: readonly string[];
}

/** What came of one rehearsal of a fix. */
export interface DrillResult {
  readonly fix: string;
  /** The world in which it was rehearsed, as a sentence. */
  readonly given: string;
  readonly passed: boolean | 'skipped';
  /** How many rehearsals there are in all. */
  readonly of: number;
  readonly problems: readonly string[];
}

export interface DrillWish {
  readonly config: Config | null;
  /** Empty: every own fix, or the whole catalogue when there is none. */
  readonly names: readonly string[];
  readonly signal: AbortSignal;
}

export interface Composition {
  loadConfig(options: LoadOptions): Promise<Config>;
  createApp(config: Config, log: Log, sight: Sight): Promise<RunningApp>;
  openOperations(config: Config): Promise<Operations>;
  /** Files behind the glob patterns of a configuration's services. */
  logFiles(config: Config): Promise<readonly string[]>;
  scan(request: ScanRequest): AsyncIterable<ScanStep>;
  doctor(config: Config | null, signal: AbortSignal): AsyncIterable<Finding>;
  drill(wish: DrillWish): AsyncIterable<DrillResult>;
  testRules(file: string, text: string | null): Promise<RuleTest>;
  /** The gateway in this process. Rejects when its address is taken. */
  openGateway(config: Config, log: Log): Promise<{ readonly url: string; close(): Promise<void> }>;
  /** The variables that point a service (null: anybody) at the gateway, and whether it answers now. */
  gatewayEnvironment(
    config: Config,
    service: string | null,
  ): Promise<{ readonly variables: Readonly<Record<string, string>>; readonly answers: boolean }>;
  /** True when every fault was healed. */
  demo(options: DemoOptions): Promise<boolean>;
}

export interface Paint {
  readonly dim: (text: string) => string;
  readonly bold: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly accent: (text: string) => string;
}

export interface DemoOptions {
  readonly write: (text: string) => void;
  readonly paint: Paint;
  readonly signal: AbortSignal;
}
