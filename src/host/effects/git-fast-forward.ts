// Takes in commits of upstream on a branch without own commits. Local edits elsewhere stay; anything in the way refuses.

import type { GitFastForwardStep } from '../../core/plan.ts';
import type { Effect } from '../contract.ts';
import { applyMove, probeMove, snapshotMove, undoMove } from '../git-moves.ts';
import { stepDifferences } from '../git-steps.ts';

export const gitFastForward: Effect<GitFastForwardStep> = {
  kind: 'git-fast-forward',
  snapshot: (step, context) => snapshotMove(step, 'forward', context),
  // A plain pull would write over an ignored file that comes in; this one refuses.
  apply: (step, snapshot, context) =>
    applyMove(
      step,
      snapshot,
      ['merge', '--ff-only', '--no-overwrite-ignore', '--no-stat', '--quiet', step.to],
      context,
    ),
  probe: probeMove,
  undo: undoMove,
  differences: (_step, snapshot, context) => stepDifferences(snapshot, context),
};
