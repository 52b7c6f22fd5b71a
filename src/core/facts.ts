// Facts are typed captures out of a log record. They are CLAIMS of an untrusted
// text: a fix may use one to decide where to look, never as an argument, a path or
// an address, until a probe of the machine has confirmed it.

/**
 * What a record says about the trouble, under the names that other programs rely on.
 * Only values that really stand in the text; an absent fact is an absent key.
 */
export interface Facts {
  /** Module that could not be imported, as the text names it (`yaml`, `express`). */
  readonly module?: string;
  /** Package or distribution the text itself names; not a guess from `module`. */
  readonly package?: string;
  /** Source file of the failure: the frame or place the error itself names. */
  readonly file?: string;
  /** Line in `file`, counted from 1. */
  readonly sourceLine?: number;
  readonly host?: string;
  readonly port?: number;
  /** HTTP status code. */
  readonly status?: number;
  /** Seconds the other side asked us to wait. */
  readonly retryAfterSec?: number;
  /** Model or API provider (`anthropic`, `openai`). */
  readonly provider?: string;
  /** Environment variable that is missing or wrong. */
  readonly env?: string;
  /** File or directory the operation failed on. */
  readonly path?: string;
  readonly pid?: number;
  /** Class name of the exception, without its module path unless the text has one. */
  readonly exception?: string;
  /** Attribute, method or property that does not exist. */
  readonly attribute?: string;
  /** Exit code of a process that ended. */
  readonly exitCode?: number;
  /** Signal that ended a process (`SIGSEGV`). */
  readonly signal?: string;
  /** Program that could not be found or started. */
  readonly executable?: string;
  /** Git branch, revision or repository directory, where git named it. */
  readonly branch?: string;
  readonly repository?: string;
  /** Model name of a provider. */
  readonly model?: string;
}

export type FactName = keyof Facts;

/** Names whose values are numbers; all others are strings. */
export const NUMERIC_FACTS = [
  'sourceLine',
  'port',
  'status',
  'retryAfterSec',
  'pid',
  'exitCode',
] as const satisfies readonly FactName[];

const KNOWN: Readonly<Record<FactName, true>> = {
  module: true,
  package: true,
  file: true,
  sourceLine: true,
  host: true,
  port: true,
  status: true,
  retryAfterSec: true,
  provider: true,
  env: true,
  path: true,
  pid: true,
  exception: true,
  attribute: true,
  exitCode: true,
  signal: true,
  executable: true,
  branch: true,
  repository: true,
  model: true,
};

/** All names a fact can have. */
export const FACT_NAMES = Object.keys(KNOWN) as readonly FactName[];
