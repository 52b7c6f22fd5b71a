import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../config/contract.ts';
import type { Severity } from '../core/words.ts';
import { testRules } from '../test-rules.ts';
import { ErrorDetector } from './detector.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'selfheal-rules-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function fileOf(text: string): Promise<string> {
  const file = join(directory, 'rules.yaml');
  await writeFile(file, text);
  return file;
}

async function problemsOf(text: string): Promise<readonly string[]> {
  const error = await testRules(await fileOf(text), null).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigError);
  return (error as ConfigError).problems.map(({ line, message }) => `${line}: ${message}`);
}

const RULE = ['rules:', '  - name: printer-jam', '    type: service_crash', '    patterns:'];

describe('a rule of the owner', () => {
  it('gives what its named groups caught as facts', async () => {
    const file = await fileOf([...RULE, "      - match: 'jam at (?P<host>\\S+)'"].join('\n'));
    const { rows } = await testRules(file, '2026-01-05 10:00:00 ERROR spooler: jam at prn-1.example.com');
    expect(rows).toMatchObject([{ rule: 'printer-jam', line: 1, facts: { host: 'prn-1.example.com' } }]);
  });

  it('is told the nearest key and the place when a key is unknown', async () => {
    const problems = await problemsOf([...RULE, "      - match: 'jam in tray'", '        lvel: warn'].join('\n'));
    expect(problems).toEqual([expect.stringMatching(/^6: unknown key "lvel".*did you mean level\?$/)]);
  });

  it('is told the nearest word when a type is unknown', async () => {
    const problems = await problemsOf(
      [...RULE, "      - match: 'jam'"].join('\n').replace('service_crash', 'service_crsh'),
    );
    expect(problems).toEqual([expect.stringContaining('did you mean service_crash?')]);
  });

  it('is told that a named group is no fact', async () => {
    const problems = await problemsOf([...RULE, "      - match: 'jam at (?P<hosst>\\S+)'"].join('\n'));
    expect(problems).toEqual([expect.stringContaining('the group "hosst" is no fact; did you mean host?')]);
  });

  it('cannot look around, so that it always takes linear time', async () => {
    const problems = await problemsOf([...RULE, "      - match: 'jam(?= at)'"].join('\n'));
    expect(problems).toEqual([expect.stringContaining('linear time')]);
  });
});

it('goes by the severity that the owner gives a rule, whatever the record says', () => {
  const text = '2026-01-05 10:00:00,123 FATAL [llm] openai.RateLimitError: Error code: 429';
  const severityWith = (severities: Record<string, Severity>) =>
    new ErrorDetector({ severities }).scanText(text).map(({ severity }) => severity);
  expect(severityWith({})).toEqual(['high']);
  expect(severityWith({ 'rate-limit': 'low' })).toEqual(['low']);
});
