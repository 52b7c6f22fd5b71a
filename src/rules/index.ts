// The catalogue of rules. Order resolves ties of equal confidence: causes before symptoms. A test
// compares this list with the folder.

import type { Rule } from './contract.ts';

export const rules: readonly Rule[] = [];
