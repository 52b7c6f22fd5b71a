// The specification's classes for those who embed selfheal. They are the program's own parts with
// defaults filled in: the configuration is found as the command line finds it.

import { openOperations, type Environment } from './app.ts';
import { loadConfig } from './config/load.ts';
import type { Config } from './config/contract.ts';
import { filesMatching } from './config/discover.ts';
import type { Detection } from './core/detection.ts';
import { createDetector } from './detector.ts';
import type { FixSummary } from './engine/ledger.ts';
import type { FixAnswer } from './operations.ts';
import { scan } from './scan.ts';

export { SelfHealingMonitor, type MonitorOptions } from './monitor.ts';

export interface LibraryOptions {
  /** Default: found as the command line finds it, starting in `cwd`. */
  readonly config?: Config;
  /** Default: the working directory of this process. */
  readonly cwd?: string;
  /** Default: the environment of this process. */
  readonly environment?: Environment;
}

export interface RecentLogs {
  /** How far to look back, in minutes. Records without a time of their own are included. */
  readonly minutes: number;
  /** Files to read. Default: the logs of all configured services. */
  readonly files?: readonly string[];
}

/**
 * Finds errors in logs; changes nothing.
 *
 * @example
 * for (const error of await new ErrorDetector().scanRecentLogs({ minutes: 60 }))
 *   console.log(`${error.type}: ${error.message}`);
 */
export class ErrorDetector {
  readonly #options: LibraryOptions;

  constructor(options: LibraryOptions = {}) {
    this.#options = options;
  }

  /** Rejects with a `ConfigError` when the configuration cannot be used, and when a named file cannot be read. */
  async scanRecentLogs({ minutes, files }: RecentLogs): Promise<readonly Detection[]> {
    const { config, environment } = await resolved(this.#options);
    const paths = files ?? (await Promise.all(config.services.flatMap((s) => s.logs.map(filesMatching)))).flat();
    const detections: Detection[] = [];
    const steps = scan({
      detector: await createDetector(config, environment),
      inputs: [...new Set(paths)].map((path) => ({ kind: 'file', path })),
      since: Date.now() - minutes * 60_000,
    });
    for await (const step of steps) {
      if (step.kind === 'problem') throw new Error(`${step.input} ${step.message}`);
      detections.push(...step.detections);
    }
    return detections;
  }
}

/**
 * Heals what can be healed, with the same plans, proofs and undo as the program; tells what was done so far.
 *
 * @example
 * const fixer = new AutoFixer();
 * const { attempted, successful } = await fixer.fixErrors();
 * console.log((await fixer.getFixSummary()).successRate);
 */
export class AutoFixer {
  readonly #options: LibraryOptions;

  constructor(options: LibraryOptions = {}) {
    this.#options = options;
  }

  /** All attempts on this host since the store began. Rejects with a `StoreError` when it cannot be opened. */
  async getFixSummary(): Promise<FixSummary> {
    return this.#ask(async (operations) => (await operations.history()).summary);
  }

  /** Tries the open incidents, or one of them, and waits for the outcomes. A running daemon does it, else this process. */
  async fixErrors(incident?: string): Promise<FixAnswer> {
    return this.#ask((operations) => operations.fix(incident ?? null, 'library'));
  }

  async #ask<T>(question: (operations: Awaited<ReturnType<typeof openOperations>>) => Promise<T>): Promise<T> {
    const operations = await openOperations(await resolved(this.#options));
    try {
      return await question(operations);
    } finally {
      await operations.close();
    }
  }
}

async function resolved(options: LibraryOptions): Promise<{ config: Config; environment: Environment }> {
  const environment = options.environment ?? process.env;
  const config = options.config ?? (await loadConfig({ cwd: options.cwd ?? process.cwd(), environment }));
  return { config, environment };
}
