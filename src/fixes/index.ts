// The catalogue of fixes, in no order that matters (each fix has its own). Add a line here; a test
// compares this list with the folder.

import type { Fix } from './contract.ts';
import abortStuckMerge from './abort-stuck-merge.ts';
import clearStaleGitLock from './clear-stale-git-lock.ts';
import clearStalePidFile from './clear-stale-pid-file.ts';
import clearStaleSessionLock from './clear-stale-session-lock.ts';
import explainFailedInstall from './explain-failed-install.ts';
import explainMissingProgram from './explain-missing-program.ts';
import explainNativeParts from './explain-native-parts.ts';
import fillOwnVenv from './fill-own-venv.ts';
import freeDisk from './free-disk.ts';
import freeInodes from './free-inodes.ts';
import freePort from './free-port.ts';
import installNodePackage from './install-node-package.ts';
import installPythonPackage from './install-python-package.ts';
import quarantinePoisonedState from './quarantine-poisoned-state.ts';
import reclaimDeletedFiles from './reclaim-deleted-files.ts';
import refetchDamagedPackage from './refetch-damaged-package.ts';
import repairTornJsonl from './repair-torn-jsonl.ts';
import reportGitTrouble from './report-git-trouble.ts';
import reportReadOnlyDisk from './report-read-only-disk.ts';
import restartCrashedService from './restart-crashed-service.ts';
import restartHungService from './restart-hung-service.ts';
import restartLeakingService from './restart-leaking-service.ts';
import restoreBrokenConfig from './restore-broken-config.ts';
import restoreMissingConfig from './restore-missing-config.ts';
import restorePermission from './restore-permission.ts';
import restorePinnedVersion from './restore-pinned-version.ts';
import returnToHealthyCommit from './return-to-healthy-commit.ts';
import takeUpstreamFix from './take-upstream-fix.ts';
import unblockPull from './unblock-pull.ts';
import waitOutLimit from './wait-out-limit.ts';

export const fixes: readonly Fix[] = [
  abortStuckMerge,
  clearStaleGitLock,
  clearStalePidFile,
  clearStaleSessionLock,
  explainFailedInstall,
  explainMissingProgram,
  explainNativeParts,
  fillOwnVenv,
  freeDisk,
  freeInodes,
  freePort,
  installNodePackage,
  installPythonPackage,
  quarantinePoisonedState,
  reclaimDeletedFiles,
  refetchDamagedPackage,
  repairTornJsonl,
  reportGitTrouble,
  reportReadOnlyDisk,
  restartCrashedService,
  restartHungService,
  restartLeakingService,
  restoreBrokenConfig,
  restoreMissingConfig,
  restorePermission,
  restorePinnedVersion,
  returnToHealthyCommit,
  takeUpstreamFix,
  unblockPull,
  waitOutLimit,
];
