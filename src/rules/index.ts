// The catalogue of rules. Order resolves ties of equal confidence: causes before symptoms. A test
// compares this list with the folder.

import apiError from './api-error.ts';
import attributeError from './attribute-error.ts';
import authError from './auth-error.ts';
import configError from './config-error.ts';
import databaseError from './database-error.ts';
import diskFull from './disk-full.ts';
import gitError from './git-error.ts';
import importError from './import-error.ts';
import outOfMemory from './out-of-memory.ts';
import permissionError from './permission-error.ts';
import portInUse from './port-in-use.ts';
import providerOverloaded from './provider-overloaded.ts';
import quotaExhausted from './quota-exhausted.ts';
import rateLimit from './rate-limit.ts';
import serviceCrash from './service-crash.ts';
import syntaxError from './syntax-error.ts';
import timeout from './timeout.ts';
import tooManyFiles from './too-many-files.ts';
import typeError from './type-error.ts';
import unknown from './unknown.ts';
import type { Rule } from './contract.ts';

export const rules: readonly Rule[] = [
  ...diskFull,
  ...outOfMemory,
  ...tooManyFiles,
  ...portInUse,
  ...quotaExhausted,
  ...providerOverloaded,
  ...rateLimit,
  ...authError,
  ...importError,
  ...gitError,
  ...configError,
  ...permissionError,
  ...databaseError,
  ...attributeError,
  ...typeError,
  ...syntaxError,
  ...timeout,
  ...apiError,
  ...serviceCrash,
  ...unknown,
];
