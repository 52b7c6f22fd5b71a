// The catalogue of fixes, in no order that matters (each fix has its own). Add a line here; a test
// compares this list with the folder.

import type { Fix } from './contract.ts';
import abortStuckMerge from './abort-stuck-merge.ts';
import clearStaleGitLock from './clear-stale-git-lock.ts';
import installPythonPackage from './install-python-package.ts';
import reportGitTrouble from './report-git-trouble.ts';
import returnToHealthyCommit from './return-to-healthy-commit.ts';
import takeUpstreamFix from './take-upstream-fix.ts';
import unblockPull from './unblock-pull.ts';

export const fixes: readonly Fix[] = [
  abortStuckMerge,
  clearStaleGitLock,
  installPythonPackage,
  reportGitTrouble,
  returnToHealthyCommit,
  takeUpstreamFix,
  unblockPull,
];
