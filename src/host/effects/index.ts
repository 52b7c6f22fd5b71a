// The catalogue of effects: one file per kind of step. Add a line here; a test compares this list
// with the folder and with the step union.

import type { AnyEffect } from '../contract.ts';
import { pipInstall } from './pip-install.ts';

export const effects: readonly AnyEffect[] = [pipInstall];
