import { expect, it } from 'vitest';
import type { Outcome } from '../core/outcome.ts';
import type { LedgerRow } from '../store/contract.ts';
import { summarise } from './ledger.ts';

const row = (kind: Outcome['kind'], more: Partial<Outcome> = {}): LedgerRow => ({
  incident: '1',
  service: 'agent',
  fix: 'f',
  family: 'own-fix',
  startedAt: 0,
  plan: '1',
  outcome: { kind, reason: 'r', evidence: [], at: 1, plan: '1', ...more },
});

it('what a person takes back is no failure, and what takes itself back is one', () => {
  expect(summarise([row('fixed'), row('rolled-back', { undoneBy: 'cli:mo' })])).toMatchObject({
    totalFixesAttempted: 2,
    successful: 1,
    failed: 0,
    takenBack: 1,
    successRate: 1,
  });
  expect(summarise([row('fixed'), row('rolled-back')])).toMatchObject({ failed: 1, takenBack: 0, successRate: 0.5 });
  expect(summarise([row('rollback-failed', { undoneBy: 'cli:mo' })])).toMatchObject({ failed: 1, takenBack: 0 });
});
