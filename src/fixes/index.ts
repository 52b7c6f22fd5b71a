// The catalogue of fixes, in no order that matters (each fix has its own). Add a line here; a test
// compares this list with the folder.

import type { Fix } from './contract.ts';
import abortStuckMerge from './abort-stuck-merge.ts';
import clearStaleGitLock from './clear-stale-git-lock.ts';
import clearStalePidFile from './clear-stale-pid-file.ts';
import clearStaleSessionLock from './clear-stale-session-lock.ts';
import freePort from './free-port.ts';
import installNodePackage from './install-node-package.ts';
import installPythonPackage from './install-python-package.ts';
import quarantinePoisonedState from './quarantine-poisoned-state.ts';
import repairTornJsonl from './repair-torn-jsonl.ts';
import reportGitTrouble from './report-git-trouble.ts';
import restartCrashedService from './restart-crashed-service.ts';
import restartHungService from './restart-hung-service.ts';
import restartLeakingService from './restart-leaking-service.ts';
import restoreBrokenConfig from './restore-broken-config.ts';
import restoreMissingConfig from './restore-missing-config.ts';
import restorePermission from './restore-permission.ts';
import returnToHealthyCommit from './return-to-healthy-commit.ts';
import takeUpstreamFix from './take-upstream-fix.ts';
import unblockPull from './unblock-pull.ts';
import waitOutLimit from './wait-out-limit.ts';

export const fixes: readonly Fix[] = [
  abortStuckMerge,
  clearStaleGitLock,
  clearStalePidFile,
  clearStaleSessionLock,
  freePort,
  installNodePackage,
  installPythonPackage,
  quarantinePoisonedState,
  repairTornJsonl,
  reportGitTrouble,
  restartCrashedService,
  restartHungService,
  restartLeakingService,
  restoreBrokenConfig,
  restoreMissingConfig,
  restorePermission,
  returnToHealthyCommit,
  takeUpstreamFix,
  unblockPull,
  waitOutLimit,
];
