// The catalogue of effects: one file per kind of step. Add a line here; a test compares this list
// with the folder and with the step union.

import type { AnyEffect } from '../contract.ts';
import { endProcess } from './end-process.ts';
import { pipInstall } from './pip-install.ts';
import { removeFiles } from './remove-files.ts';
import { restart } from './restart.ts';
import { runCommand } from './run.ts';
import { wait } from './wait.ts';

export const effects: readonly AnyEffect[] = [endProcess, pipInstall, removeFiles, restart, runCommand, wait];
