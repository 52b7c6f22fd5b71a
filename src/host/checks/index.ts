// The catalogue of checks: one file per kind. Add a line here; a test compares this list with the
// folder and with the check union.

import type { AnyCheckRunner } from '../contract.ts';
import { pythonImport } from './python-import.ts';

export const checks: readonly AnyCheckRunner[] = [pythonImport];
