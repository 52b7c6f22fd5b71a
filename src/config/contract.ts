// The configuration after defaults, YAML, environment and flags have been merged and checked.
// Everybody but config/ sees only this.

import type { Autonomy, ErrorType, Family, Risk, ServiceRole, Severity } from '../core/words.ts';
import type { ServiceFacts } from '../host/contract.ts';
import type { Secret } from './secret.ts';

export interface ServiceConfig extends ServiceFacts {
  /** Glob patterns of log files, absolute. */
  readonly logs: readonly string[];
  readonly journald: string | null;
  readonly docker: string | null;
  /** Configuration files that are kept as good copies, absolute; found by default (`.env`, `*.json`, `*.yaml`, `*.toml` of the folder's top level). */
  readonly configFiles: readonly string[];
  /** Quiet by design: silence and missing log growth mean nothing. */
  readonly idle: boolean;
  /** How much depends on it. Absent: `normal`. */
  readonly role?: ServiceRole;
  readonly fixes: Readonly<Partial<Record<Family, Autonomy>>>;
  /** Environment of a supervised command, besides selfheal's own. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A fix that the owner has written down: commands, their way back, and what proves them. */
export interface OwnFix {
  readonly name: string;
  readonly title: string;
  readonly handles: readonly ErrorType[];
  readonly contains: string | null;
  /** Null: every service. */
  readonly services: readonly string[] | null;
  readonly autonomy: Autonomy;
  readonly risk: Risk;
  readonly steps: readonly {
    readonly run: readonly string[];
    readonly undo: readonly string[] | { readonly none: string };
    readonly timeoutMs: number;
  }[];
  readonly checks: readonly { readonly run: readonly string[]; readonly timeoutMs: number }[];
}

export interface Config {
  /** File it was read from; null when there is none. */
  readonly file: string | null;
  /** Name of this host in incidents and messages. Default: the host name. */
  readonly node: string;
  readonly enabled: boolean;
  readonly autoFix: boolean;
  readonly checkIntervalMs: number;
  readonly maxAutoFixAttempts: number;
  readonly notifyOnFix: boolean;
  readonly notifyOnCritical: boolean;
  /** Types that may be fixed without asking; null: all (each fix's own autonomy decides). */
  readonly autoFixTypes: readonly ErrorType[] | null;
  /** The owner's own fixes. Absent: none. */
  readonly ownFixes?: readonly OwnFix[];
  /** `earned`: autonomy follows the ledger of each fix and service. Absent: as configured. */
  readonly trust?: 'configured' | 'earned';
  /** Absolute path of the state folder (0700). */
  readonly state: string;
  readonly services: readonly ServiceConfig[];
  readonly telegram: TelegramConfig | null;
  readonly webhook: WebhookConfig | null;
  readonly quietHours: { readonly from: string; readonly to: string; readonly timezone: string } | null;
  readonly digestIntervalMs: number;
  readonly dashboard: { readonly host: string; readonly port: number } | null;
  readonly gateway: GatewayConfig | null;
  /** YAML files with the user's own rules, absolute. */
  readonly rules: readonly string[];
  /** Overrides of severity per rule name. */
  readonly severities: Readonly<Record<string, Severity>>;
  /** Budgets over all fixes of this host. */
  readonly limits: {
    readonly changesPerHour: number;
    readonly changesPerDay: number;
    readonly restartsPerHour: number;
  };
}

export interface TelegramConfig {
  readonly token: Secret;
  readonly allowedUsers: readonly number[];
  readonly chat: number;
  readonly apiRoot: string;
}

export interface WebhookConfig {
  readonly url: string;
  readonly secret: Secret | null;
}

export interface GatewayConfig {
  readonly host: string;
  readonly port: number;
  readonly upstreams: readonly {
    readonly name: string;
    readonly kind: 'anthropic' | 'openai';
    readonly baseUrl: string;
    readonly apiKey: Secret | null;
    readonly model: string | null;
    readonly fallback: boolean;
    /** Forms it speaks, best first. */
    readonly dialects: readonly ('messages' | 'chat' | 'responses')[];
    /** Tokens that fit in; null: as the server says. */
    readonly context: number | null;
    /** Requests at a time; null: as many as come, but one for servers of this machine. */
    readonly concurrency: number | null;
    readonly keepWarm: boolean;
  }[];
  /** Look for local servers. */
  readonly discover: boolean;
  /** Limits that are over sooner are waited out, in milliseconds. */
  readonly pauseMs: number;
  readonly tokenRequired: boolean;
  /** A model that selfheal runs itself; null: none. */
  readonly embedded: {
    /** Absolute. */
    readonly model: string;
    /** Folder whose `node_modules` holds the runtime, absolute; null: that of selfheal. */
    readonly runtime: string | null;
    readonly contextTokens: number;
    /** Null: all cores but one. */
    readonly threads: number | null;
    readonly idleMs: number;
  } | null;
}

/** A configuration that cannot be used. `problems` name file, line, column and the nearest valid key. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    super(
      problems
        .map((p) => `${p.file ?? 'configuration'}${p.line ? `:${p.line}:${p.column}` : ''}: ${p.message}`)
        .join('\n'),
    );
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

export interface ConfigProblem {
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
  /** Dotted path of the key. */
  readonly key: string;
  /** What is wrong and what to do. */
  readonly message: string;
}
