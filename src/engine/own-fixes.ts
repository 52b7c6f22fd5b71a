// The owner's own fixes: what the configuration says in commands becomes a fix like any other, with guards, journal, proof
// and undo. Nothing of a log ever becomes an argument of one.

import type { OwnFix } from '../config/contract.ts';
import type { Check, Step } from '../core/plan.ts';
import { defineFix, notApplicable, propose, type Fix } from '../fixes/contract.ts';
import { claimOf } from '../fixes/shared/claims.ts';

/** After every fix of the catalogue: those know more about the machine. */
const ORDER = 200;

/** Value of the store that says which definition of an own fix has passed its rehearsal: the digest of it. */
export const drilledKey = (name: string): string => `drilled:${name}`;

export interface OwnFixDeps {
  /** True when exactly this definition has passed `selfheal drill`. */
  readonly isDrilled: (fix: OwnFix) => Promise<boolean>;
}

/** @example fixesOf(config.ownFixes ?? [], { isDrilled: async () => false }) */
export function fixesOf(own: readonly OwnFix[], deps: OwnFixDeps): readonly Fix[] {
  return own.map((fix) => fixOf(fix, deps));
}

function fixOf(own: OwnFix, { isDrilled }: OwnFixDeps): Fix {
  return defineFix({
    name: own.name,
    family: 'own-fix',
    title: own.title,
    handles: own.handles,
    risk: own.risk,
    scope: 'service',
    autonomy: own.autonomy,
    order: ORDER,
    drills: [],
    diagnose: async ({ incident, service }) => {
      if (own.services !== null && !own.services.includes(service.name))
        return notApplicable(`it is not meant for ${service.name}`);
      if (own.contains !== null && !claimOf(incident).includes(own.contains))
        return notApplicable('the error does not contain the text it is meant for');
      return propose({
        title: own.title,
        why: 'Your own fix for this kind of error; its checks fail now and must pass afterwards.',
        facts: {},
        steps: stepsOf(own, service.directory),
        checks: checksOf(own, service.directory),
        resources: [],
        needsRestart: false,
        ...((await isDrilled(own))
          ? {}
          : { mustAsk: `it was never rehearsed: \`selfheal drill ${own.name}\` does that` }),
      });
    },
  });
}

function stepsOf(own: OwnFix, cwd: string): readonly Step[] {
  return own.steps.map(({ run, undo, timeoutMs }) => ({
    kind: 'run',
    title: `run ${run.join(' ')}`,
    argv: run,
    cwd,
    timeoutMs,
    idempotent: false,
    undo: 'none' in undo ? { kind: 'none', reason: undo.none } : { kind: 'run', argv: undo, cwd },
  }));
}

function checksOf(own: OwnFix, cwd: string): readonly Check[] {
  return own.checks.map(({ run, timeoutMs }) => ({
    kind: 'run',
    title: `${run.join(' ')} succeeds`,
    proves: 'operation',
    failsBefore: true,
    argv: run,
    cwd,
    timeoutMs,
  }));
}

/**
 * Why a fix must not be loaded; null when it may. A fix that nobody can rehearse is not trusted with a machine: it needs
 * drills, and one of them in which it holds back. Own fixes of the configuration have a rehearsal of their own.
 */
export function refusalToLoad(fix: Fix, known: readonly Fix[]): string | null {
  if (!/^[a-z][a-z0-9-]+$/.test(fix.name)) return `"${fix.name}" is no name for a fix`;
  if (known.some((one) => one !== fix && one.name === fix.name)) return `there are two fixes named ${fix.name}`;
  if (fix.handles.length === 0) return `${fix.name} handles no type of error`;
  if (fix.family === 'own-fix') return null;
  if (fix.drills.length < 2) return `${fix.name} has ${fix.drills.length} drills; two are the least`;
  return fix.drills.some((drill) => typeof drill.expect === 'string')
    ? null
    : `${fix.name} has no drill in which it holds back`;
}
