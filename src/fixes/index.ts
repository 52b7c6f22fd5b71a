// The catalogue of fixes, in no order that matters (each fix has its own). Add a line here; a test
// compares this list with the folder.

import type { Fix } from './contract.ts';
import abortStuckMerge from './abort-stuck-merge.ts';
import clearStaleGitLock from './clear-stale-git-lock.ts';
import clearStalePidFile from './clear-stale-pid-file.ts';
import clearStaleSessionLock from './clear-stale-session-lock.ts';
import endDuplicatePoller from './end-duplicate-poller.ts';
import explainFailedInstall from './explain-failed-install.ts';
import explainMissingProgram from './explain-missing-program.ts';
import explainNativeParts from './explain-native-parts.ts';
import explainRefusedCall from './explain-refused-call.ts';
import fallbackModel from './fallback-model.ts';
import fillOwnVenv from './fill-own-venv.ts';
import freeDisk from './free-disk.ts';
import freeInodes from './free-inodes.ts';
import freePort from './free-port.ts';
import installNodePackage from './install-node-package.ts';
import installPythonPackage from './install-python-package.ts';
import parkPoisonMessage from './park-poison-message.ts';
import quarantinePoisonedState from './quarantine-poisoned-state.ts';
import rebuildMissingBuild from './rebuild-missing-build.ts';
import reclaimDeletedFiles from './reclaim-deleted-files.ts';
import recreateMissingFolder from './recreate-missing-folder.ts';
import refetchDamagedPackage from './refetch-damaged-package.ts';
import renewExpiredLogin from './renew-expired-login.ts';
import repairTornJsonl from './repair-torn-jsonl.ts';
import reportBadCertificate from './report-bad-certificate.ts';
import reportClockSkew from './report-clock-skew.ts';
import reportCorruptDatabase from './report-corrupt-database.ts';
import reportDatabaseServer from './report-database-server.ts';
import reportGitTrouble from './report-git-trouble.ts';
import reportKernelLimit from './report-kernel-limit.ts';
import reportReadOnlyDisk from './report-read-only-disk.ts';
import reportRejectedKey from './report-rejected-key.ts';
import reportSpentQuota from './report-spent-quota.ts';
import restartCrashedService from './restart-crashed-service.ts';
import restartHungService from './restart-hung-service.ts';
import restartLeakingService from './restart-leaking-service.ts';
import restoreBrokenConfig from './restore-broken-config.ts';
import restoreMissingConfig from './restore-missing-config.ts';
import restorePermission from './restore-permission.ts';
import restorePinnedVersion from './restore-pinned-version.ts';
import returnToHealthyCommit from './return-to-healthy-commit.ts';
import startDependency from './start-dependency.ts';
import switchModel from './switch-model.ts';
import takeUpstreamFix from './take-upstream-fix.ts';
import unblockPull from './unblock-pull.ts';
import waitForNameService from './wait-for-name-service.ts';
import waitForNetwork from './wait-for-network.ts';
import waitForUpstream from './wait-for-upstream.ts';
import waitOutDatabaseLock from './wait-out-database-lock.ts';
import waitOutLimit from './wait-out-limit.ts';

export const fixes: readonly Fix[] = [
  abortStuckMerge,
  clearStaleGitLock,
  clearStalePidFile,
  clearStaleSessionLock,
  endDuplicatePoller,
  explainFailedInstall,
  explainMissingProgram,
  explainNativeParts,
  explainRefusedCall,
  fallbackModel,
  fillOwnVenv,
  freeDisk,
  freeInodes,
  freePort,
  installNodePackage,
  installPythonPackage,
  parkPoisonMessage,
  quarantinePoisonedState,
  rebuildMissingBuild,
  reclaimDeletedFiles,
  recreateMissingFolder,
  refetchDamagedPackage,
  renewExpiredLogin,
  repairTornJsonl,
  reportBadCertificate,
  reportClockSkew,
  reportCorruptDatabase,
  reportDatabaseServer,
  reportGitTrouble,
  reportKernelLimit,
  reportReadOnlyDisk,
  reportRejectedKey,
  reportSpentQuota,
  restartCrashedService,
  restartHungService,
  restartLeakingService,
  restoreBrokenConfig,
  restoreMissingConfig,
  restorePermission,
  restorePinnedVersion,
  returnToHealthyCommit,
  startDependency,
  switchModel,
  takeUpstreamFix,
  unblockPull,
  waitForNameService,
  waitForNetwork,
  waitForUpstream,
  waitOutDatabaseLock,
  waitOutLimit,
];
