// The catalogue of effects: one file per kind of step. Add a line here; a test compares this list
// with the folder and with the step union.

import type { AnyEffect } from '../contract.ts';
import { chmodEffect } from './chmod.ts';
import { endProcess } from './end-process.ts';
import { gitAbort } from './git-abort.ts';
import { gitFastForward } from './git-fast-forward.ts';
import { gitRescue } from './git-rescue.ts';
import { gitReturn } from './git-return.ts';
import { makeFolderEffect } from './make-folder.ts';
import { move } from './move.ts';
import { npmInstall } from './npm-install.ts';
import { pipInstall } from './pip-install.ts';
import { removeFiles } from './remove-files.ts';
import { restart } from './restart.ts';
import { routeModel } from './route-model.ts';
import { runCommand } from './run.ts';
import { wait } from './wait.ts';
import { writeFileEffect } from './write-file.ts';

export const effects: readonly AnyEffect[] = [
  chmodEffect,
  endProcess,
  gitAbort,
  gitFastForward,
  gitRescue,
  gitReturn,
  makeFolderEffect,
  move,
  npmInstall,
  pipInstall,
  removeFiles,
  restart,
  routeModel,
  runCommand,
  wait,
  writeFileEffect,
];
