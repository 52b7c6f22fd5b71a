// Small well-formed nouns for tests: say only what matters, the rest is ordinary.

import type { Config, ServiceConfig } from '../config/contract.ts';
import type { Detection } from '../core/detection.ts';
import type { Incident } from '../core/incident.ts';
import type { LogRecord } from '../core/record.ts';
import type { ErrorType } from '../core/words.ts';
import type { Clock } from '../core/clock.ts';

/** A clock that stands still until told to go on. Sleepers wake when their time has come. */
export class ManualClock implements Clock {
  #now: number;
  readonly #sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();

  constructor(now = Date.UTC(2026, 0, 5)) {
    this.#now = now;
  }
  now(): number {
    return this.#now;
  }
  monotonic(): number {
    return this.#now;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted || ms <= 0) return resolve();
      const sleeper = { at: this.#now + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }
  /** Moves time forward and wakes whoever is due. */
  advance(ms: number): void {
    this.#now += ms;
    for (const sleeper of [...this.#sleepers]) {
      if (sleeper.at > this.#now) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}

export function sampleRecord(changes: Partial<LogRecord> = {}): LogRecord {
  return {
    source: 'file:/srv/agent/data/logs/agent.log',
    file: '/srv/agent/data/logs/agent.log',
    service: 'agent',
    span: { line: 1, endLine: 1, startByte: 0, endByte: 10 },
    seenAt: Date.UTC(2026, 0, 5),
    message: 'something broke',
    text: 'something broke',
    ...changes,
  };
}

export function sampleDetection(type: ErrorType, place: string, changes: Partial<Detection> = {}): Detection {
  return {
    rule: `sample-${type}`,
    type,
    severity: 'high',
    confidence: 0.9,
    fingerprint: { version: 1, kind: `kind:${place}`, place, template: place },
    facts: {},
    fixable: true,
    trusted: true,
    message: `${type} at ${place}`,
    record: sampleRecord(),
    ...changes,
  };
}

export function sampleIncident(changes: Partial<Incident> = {}): Incident {
  const at = Date.UTC(2026, 0, 5);
  return {
    id: '1',
    service: 'agent',
    node: 'host',
    type: 'import_error',
    severity: 'high',
    state: { name: 'open', notBefore: at },
    rule: 'sample',
    fingerprint: { version: 1, kind: 'k', place: 'p', template: 't' },
    message: 'No module named yaml',
    facts: {},
    fixable: true,
    trusted: true,
    count: 1,
    firstSeen: at,
    lastSeen: at,
    samples: [],
    attempts: 0,
    plan: null,
    fix: null,
    outcome: null,
    reason: '',
    causedBy: null,
    symptoms: [],
    revision: 1,
    ...changes,
  };
}

/** A service that nothing is known of but its folder. */
export function sampleService(changes: Partial<ServiceConfig> = {}): ServiceConfig {
  const name = changes.name ?? 'agent';
  return {
    name,
    directory: `/srv/${name}`,
    command: null,
    restart: null,
    health: null,
    envFile: null,
    disposable: [],
    pipIndex: null,
    npmRegistry: null,
    settleMs: 3_000,
    logs: [],
    journald: null,
    docker: null,
    configFiles: [],
    idle: false,
    fixes: {},
    environment: {},
    ...changes,
  };
}

/** What the loader makes of a file that says nothing but `services`. */
export function sampleConfig(changes: Partial<Config> = {}): Config {
  return {
    file: null,
    node: 'host',
    enabled: true,
    autoFix: true,
    checkIntervalMs: 300_000,
    maxAutoFixAttempts: 3,
    notifyOnFix: true,
    notifyOnCritical: true,
    autoFixTypes: null,
    state: '/nowhere',
    services: [sampleService()],
    telegram: null,
    webhook: null,
    quietHours: null,
    digestIntervalMs: 3_600_000,
    dashboard: null,
    gateway: null,
    rules: [],
    severities: {},
    limits: { changesPerHour: 10, changesPerDay: 30, restartsPerHour: 5 },
    ...changes,
  };
}
