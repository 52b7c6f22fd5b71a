// What a service does not say itself: that it is gone, killed without a word, or that it lives and answers nobody.
// Asked again and again, because no log tells.

import type { LogRecord } from '../core/record.ts';
import type { CheckResult } from '../core/plan.ts';
import type { ServiceFacts, ServiceProbe, ServiceState } from '../host/contract.ts';
import type { Cursor } from '../store/contract.ts';
import type { Source, SourceContext, SourceItem } from './contract.ts';

export interface ServiceSourceOptions {
  readonly service: ServiceFacts;
  readonly probe: ServiceProbe;
  /** Between two looks, in milliseconds. Kept between 2 s and 5 min. */
  readonly intervalMs: number;
}

/** The end that was told last, in the words of the probe: after a restart of ours it is not told twice. */
interface Told {
  readonly end: string;
}

const SHORTEST_MS = 2_000;
const LONGEST_MS = 300_000;
/** An owner who restarts his service is through with it after so many looks this far apart. */
const CONFIRMATIONS = 3;
const CONFIRM_MS = 1_500;

/** Looks at a service that has a health probe or an owner to ask. It never reports a stop on purpose. */
export function createServiceSource(options: ServiceSourceOptions): Source {
  return {
    id: `service:${options.service.name}`,
    service: options.service.name,
    open: (context) => watchService(options, context),
  };
}

async function* watchService(options: ServiceSourceOptions, context: SourceContext): AsyncIterable<SourceItem> {
  const { clock, signal } = context;
  const intervalMs = Math.min(Math.max(options.intervalMs, SHORTEST_MS), LONGEST_MS);
  let told = parseCursor(context.cursor);
  let last: ServiceState | null = null;
  // It looks at how things stand: nothing that happens from now on is missed.
  context.ready?.();
  while (!signal.aborted) {
    const look = await lookTwice(options, context);
    if (signal.aborted) return;
    const trouble = troubleOf(options.service, look, last, clock.now());
    if (look.state.running === true) {
      last = look.state;
      told = null;
    }
    if (trouble && (trouble.end === null || trouble.end !== told?.end)) {
      told = trouble.end === null ? null : { end: trouble.end };
      yield { kind: 'event', record: trouble.record, cursor: told ? asCursor(told) : null };
    }
    await clock.sleep(intervalMs, signal);
  }
}

interface Look {
  readonly state: ServiceState;
  readonly health: CheckResult;
}

/** What fails at once is looked at again before it is believed; what did not answer has had its time. */
async function lookTwice(options: ServiceSourceOptions, context: SourceContext): Promise<Look> {
  let found = await look(options);
  for (let again = 1; again < CONFIRMATIONS && seemsIll(found) && !context.signal.aborted; again++) {
    if (gotNoAnswer(found.health)) return found;
    await context.clock.sleep(CONFIRM_MS, context.signal);
    found = await look(options);
  }
  return found;
}

async function look({ service, probe }: ServiceSourceOptions): Promise<Look> {
  const [state, health] = await Promise.all([probe.state(service.name), probe.health(service.name)]);
  return { state, health };
}

function seemsIll({ state, health }: Look): boolean {
  return !state.stoppedOnPurpose && (state.running === false || health.passed === false);
}

const gotNoAnswer = (health: CheckResult): boolean => health.evidence.startsWith('no answer');

// ---------------------------------------------------------------- what it means

interface Trouble {
  readonly record: LogRecord;
  /** Set when it is told once only. */
  readonly end: string | null;
}

function troubleOf(service: ServiceFacts, found: Look, last: ServiceState | null, now: number): Trouble | null {
  const { state, health } = found;
  if (state.stoppedOnPurpose) return null;
  // Whoever supervises it tells of its end himself.
  if (state.running === false) return service.command ? null : ended(service, state, last, now);
  if (state.running !== true || health.passed !== false) return null;
  const message = gotNoAnswer(health)
    ? `health request timed out: ${health.evidence}`
    : `health request failed while the process lives: ${health.evidence}`;
  return { record: record(service, now, message), end: null };
}

function ended(service: ServiceFacts, state: ServiceState, last: ServiceState | null, now: number): Trouble {
  const process = last?.process ?? null;
  const message = `${service.name} ${state.evidence}`;
  return {
    end: state.evidence,
    record: {
      ...record(service, now, message),
      exit: { pid: process?.pid ?? 0, exitCode: null, signal: null, deliberate: false, uptimeMs: 0 },
    },
  };
}

function record(service: ServiceFacts, now: number, message: string): LogRecord {
  return {
    source: `service:${service.name}`,
    service: service.name,
    span: { line: 0, endLine: 0, startByte: 0, endByte: 0 },
    time: now,
    seenAt: now,
    level: 'error',
    logger: 'health',
    message,
    text: message,
  };
}

function asCursor(told: Told): Cursor {
  return { ...told };
}

function parseCursor(cursor: Cursor | null): Told | null {
  return typeof cursor?.end === 'string' ? { end: cursor.end } : null;
}
