// Puts a branch and its work tree back to an earlier commit of its own line. Local edits elsewhere stay.

import type { GitReturnStep } from '../../core/plan.ts';
import type { Effect } from '../contract.ts';
import { applyMove, probeMove, snapshotMove, undoMove } from '../git-moves.ts';
import { stepDifferences } from '../git-steps.ts';

export const gitReturn: Effect<GitReturnStep> = {
  kind: 'git-return',
  snapshot: (step, context) => snapshotMove(step, 'back', context),
  // `--keep` refuses where local edits would be lost; `--hard` would not.
  apply: (step, snapshot, context) =>
    applyMove(step, snapshot, ['reset', '--keep', '--quiet', '--no-recurse-submodules', step.to], context),
  probe: probeMove,
  undo: undoMove,
  differences: (_step, snapshot, context) => stepDifferences(snapshot, context),
};
