import { expect, it } from 'vitest';
import { ErrorDetector } from '../engine/detector.ts';
import { whyLines } from './render-incident.ts';

const why = (text: string): readonly string[] => whyLines({ ...new ErrorDetector().explain(text), incident: null });

it('shows the rule, the words, the captured facts, what nearly matched and the masks', () => {
  expect(why("fatal: Unable to create '/srv/agent/.git/index.lock': File exists.")).toEqual([
    '🔎 git_error (high) by rule git-error',
    'Because: git, when another git holds the index',
    "Said: Unable to create '/srv/agent/.git/index.lock': File exists.",
    expect.stringMatching(/^Fingerprint [0-9a-f]{16}$/),
    "Template: Unable to create '<path>/index.lock': File exists.",
    '',
    'Caught:',
    '• path: /srv/agent/.git/index.lock',
    '',
    'Nearly:',
    '• uncaught-exception: it matched too, less surely (0.3 to 0.97): the level of the record',
    '• failed-warning: it matched too, less surely (0.25 to 0.97): a warning that says something failed',
    '',
    'Masked:',
    '• /srv/agent/.git/index.lock → <path>/index.lock',
  ]);
});

it('says which words keep a rule from calling it an error', () => {
  expect(why('2026-01-05 10:00:00 WARNING thumbnail failed, skipping it')).toContain(
    'Because: rule failed-warning nearly did: but it says ", skipping", which vetoes the rule',
  );
});

it('says a reason once, and nothing of levels where an error was found without one', () => {
  const lines = why("ModuleNotFoundError: No module named 'yaml'");
  expect(lines.filter((line) => line.includes('names none'))).toEqual([]);
  expect(lines).toContain('• module: yaml');
  const silent = why('the build failed').filter((line) => line.startsWith('•'));
  expect(silent).toEqual([...new Set(silent)]);
});

it('shows the words of the line that a pattern on the whole record has matched', () => {
  const text =
    '2026-01-05 10:00:00,123 ERROR [update] git pull exited with code 1:\n' +
    'error: Your local changes to the following files would be overwritten by merge:\n\tmain.py\nAborting';
  expect(why(text)).toContain('• path: main.py');
  expect(why(text).join('\n')).toContain(
    'Said: Your local changes to the following files would be overwritten by merge',
  );
});
