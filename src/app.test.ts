// The parts put together: what the owner wrote in his rules reaches the planner.

import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createBase } from './app.ts';
import { sampleConfig, sampleIncident, sampleService } from './testing/samples.ts';
import { createScratch, type Scratch } from './testing/scratch.ts';

let scratch: Scratch;
beforeEach(() => void (scratch = createScratch()));
afterEach(() => scratch.close());

const RULES = `rules:
  - name: hands-off
    type: unknown
    fixable: false
    patterns: [{ match: 'No such file' }]
  - name: hands-on
    type: unknown
    patterns: [{ match: 'not there' }]
`;

it('asks for what a rule of the owner calls not fixable, and for nothing else because of it', async () => {
  const [directory, state, rules] = [scratch.path('agent'), scratch.path('state'), scratch.path('rules.yaml')];
  mkdirSync(directory);
  // Else the fix itself would ask, as root.
  if (process.getuid?.() === 0) chownSync(directory, 1234, 1234);
  writeFileSync(rules, RULES);
  const service = sampleService({ directory, logs: [`${directory}/logs/*.log`] });
  const config = sampleConfig({ state, rules: [rules], services: [service] });
  const base = await createBase({ config, environment: { PATH: process.env.PATH } });
  try {
    const message = "FileNotFoundError: [Errno 2] No such file or directory: 'logs/agent.log'";
    const reasonFor = async (rule: string, fixable: boolean) => {
      const found = await base.planner.consider(sampleIncident({ type: 'unknown', message, rule, fixable }));
      return found.kind === 'plan' ? found.plan.decision.reason : JSON.stringify(found);
    };
    expect(await reasonFor('hands-off', false)).toContain('your rule hands-off');
    expect(await reasonFor('hands-on', true)).not.toContain('your rule');
  } finally {
    await base.store.close();
  }
});
