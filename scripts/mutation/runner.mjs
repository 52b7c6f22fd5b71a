// What the pure tests of this repository use of vitest, in one process: suites, tables, hooks, and vitest's own `expect`.

import {
  ASYMMETRIC_MATCHERS_OBJECT,
  chai,
  customMatchers,
  getState,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState,
} from '@vitest/expect';

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);
export const expect = (value, message) => {
  const { assertionCalls } = getState(expect);
  setState({ assertionCalls: assertionCalls + 1 }, expect);
  return chai.expect(value, message);
};
Object.assign(expect, chai.expect, globalThis[ASYMMETRIC_MATCHERS_OBJECT]);
globalThis[GLOBAL_EXPECT] = expect;
setState({ assertionCalls: 0 }, expect);
chai.expect.extend(expect, customMatchers);

const tests = [];
const hooks = { before: [], after: [] };

const table = (one) => (rows) => (name, run) =>
  rows.forEach((row) => one(name, () => run(...(Array.isArray(row) ? row : [row]))));

export const it = Object.assign((_name, ...rest) => void tests.push(rest.find((word) => typeof word === 'function')), {
  each: (rows) => table(it)(rows),
});
export const test = it;
export const describe = Object.assign((_name, run) => run(), { each: (rows) => table(describe)(rows) });
export const beforeEach = (run) => void hooks.before.push(run);
export const afterEach = (run) => void hooks.after.push(run);

/** What the first test that fails says; null when all pass. */
export async function failures() {
  for (const run of tests) {
    try {
      for (const hook of hooks.before) await hook();
      await run();
      for (const hook of hooks.after) await hook();
    } catch (error) {
      return String(error?.message ?? error);
    }
  }
  return null;
}
