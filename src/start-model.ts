// The process of the embedded model, as the gateway starts it.

import { fileURLToPath } from 'node:url';
import type { StartServing } from './gateway/embedded/contract.ts';
import { startServing } from './host/serving.ts';

/** Nothing of our environment is its business. */
export const startModel: StartServing = (hello, ended) =>
  startServing({ program: mainProgram(), hello, ended, env: {} });

/** Beside this file in a build; in dist/ when the sources themselves are run, by a test runner. */
function mainProgram(): string {
  const compiled = import.meta.url.endsWith('.js');
  return fileURLToPath(new URL(compiled ? './model-main.js' : '../dist/model-main.js', import.meta.url));
}
