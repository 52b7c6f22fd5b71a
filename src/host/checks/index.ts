// The catalogue of checks: one file per kind. Add a line here; a test compares this list with the
// folder and with the check union.

import type { AnyCheckRunner } from '../contract.ts';
import { fileAbsent } from './file-absent.ts';
import { fileMode } from './file-mode.ts';
import { fileParses } from './file-parses.ts';
import { gitState } from './git-state.ts';
import { gitWorks } from './git-works.ts';
import { health } from './health.ts';
import { http } from './http.ts';
import { nodeResolve } from './node-resolve.ts';
import { portFree } from './port-free.ts';
import { portOwner } from './port-owner.ts';
import { pythonImport } from './python-import.ts';
import { resolves } from './resolves.ts';
import { runCheck } from './run.ts';
import { runningAnew } from './running-anew.ts';
import { sqliteSound } from './sqlite-sound.ts';
import { sqliteUnlocked } from './sqlite-unlocked.ts';
import { tcp } from './tcp.ts';
import { timePassed } from './time-passed.ts';
import { untried } from './untried.ts';
import { writable } from './writable.ts';

export const checks: readonly AnyCheckRunner[] = [
  fileAbsent,
  fileMode,
  fileParses,
  gitState,
  gitWorks,
  health,
  http,
  nodeResolve,
  portFree,
  portOwner,
  pythonImport,
  resolves,
  runCheck,
  runningAnew,
  sqliteSound,
  sqliteUnlocked,
  tcp,
  timePassed,
  untried,
  writable,
];
