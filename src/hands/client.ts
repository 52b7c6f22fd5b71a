// How the engine calls *hands*: a process of its own per call, so that its death, its memory and its rights
// are its own. The journal, not the answer, is what a restarted engine believes.

import { fileURLToPath } from 'node:url';
import type { Run, RunResult } from '../host/contract.ts';
import type { HandsAnswer, HandsVerb } from './session.ts';

export type { HandsAnswer, HandsVerb } from './session.ts';

export interface HandsCall {
  readonly stateDirectory: string;
  /** Id of the plan; it is all that *hands* is told. */
  readonly plan: string;
  readonly verb: HandsVerb;
  /** Aborting asks it to stop: it begins no further step and takes back what it did; after five seconds it is killed. */
  readonly signal: AbortSignal;
  readonly run: Run;
  /** Default 25 minutes: less than the lease of a healing incident. Each step has its own, shorter deadline. */
  readonly deadlineMs?: number;
  /** Node binary. Default: the one that runs us. */
  readonly node?: string;
  /** Compiled `hands/main.js`. Default: the one of this build. */
  readonly program?: string;
  /** Added to its small environment. */
  readonly env?: Readonly<Record<string, string>>;
}

const DEADLINE_MS = 25 * 60_000;

/**
 * Runs one verb on one plan in a process of its own. Never throws: what went wrong is `died`, with the reason, and
 * `recover` is what to call next.
 *
 * @example
 * const answer = await callHands({ stateDirectory, plan: 'p17', verb: 'act', signal, run });
 */
export async function callHands(call: HandsCall): Promise<HandsAnswer> {
  const { stateDirectory, plan, verb, signal, run, deadlineMs = DEADLINE_MS } = call;
  const argv = [call.node ?? process.execPath, call.program ?? mainProgram()];
  const result = await run([...argv, '--state', stateDirectory, '--plan', plan, '--do', verb], {
    cwd: stateDirectory,
    // Our own uid, whoever the folder belongs to: *hands* becomes the owner of each target by itself.
    asOwnerOf: '/proc/self',
    // It outlives us: a plan that was begun is better finished than cut. Its own children die with it.
    leash: 'none',
    timeoutMs: deadlineMs,
    outputCap: OUTPUT_CAP,
    signal,
    ...(call.env ? { env: call.env } : {}),
  });
  return parseAnswer(result.stdout) ?? { kind: 'died', reason: causeOfDeath(result, deadlineMs) };
}

const OUTPUT_CAP = 1024 * 1024;

/** Beside this file in a build; in dist/ when the sources themselves are run, by a test runner. */
function mainProgram(): string {
  const compiled = import.meta.url.endsWith('.js');
  return fileURLToPath(new URL(compiled ? './main.js' : '../../dist/hands/main.js', import.meta.url));
}

/** The last line of what it printed; null when that is no answer. */
export function parseAnswer(stdout: string): HandsAnswer | null {
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  try {
    const answer = JSON.parse(line) as Record<string, unknown>;
    if ('outcome' in answer) return { kind: 'finished', outcome: answer['outcome'] } as HandsAnswer;
    if (answer['acted'] === true) {
      const { evidence, beside } = answer;
      return { kind: 'acted', evidence, ...(typeof beside === 'string' ? { beside } : {}) } as HandsAnswer;
    }
    if (answer['putOff'] === true) return { kind: 'put-off', reason: String(answer['reason']) };
    if (answer['busy'] === true) return { kind: 'busy', reason: String(answer['reason']) };
    return null;
  } catch {
    return null;
  }
}

/** The line that *hands* prints at its end. */
export function printedAnswer(answer: Exclude<HandsAnswer, { kind: 'died' }>): string {
  switch (answer.kind) {
    case 'finished':
      return JSON.stringify({ outcome: answer.outcome });
    case 'acted':
      return JSON.stringify({ acted: true, evidence: answer.evidence, beside: answer.beside });
    case 'put-off':
      return JSON.stringify({ putOff: true, reason: answer.reason });
    case 'busy':
      return JSON.stringify({ busy: true, reason: answer.reason });
  }
}

function causeOfDeath(result: RunResult, deadlineMs: number): string {
  if (result.failure !== null) return `hands could not be started: ${result.failure}`;
  if (result.timedOut) return `hands did not end within ${Math.round(deadlineMs / 1000)} s and was killed`;
  const said = result.stderr.trim().split('\n').at(-1)?.slice(0, 500) ?? '';
  const how = result.signal === null ? `ended with ${result.code}` : `was ended by ${result.signal}`;
  return `hands ${how} without an answer${said === '' ? '' : `: ${said}`}`;
}
