// Git cannot do what it was asked: conflicts, locks, refused updates, damaged objects.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'git-error',
  type: 'git_error',
  severity: 'medium',
  patterns: [
    {
      match: /CONFLICT \([^)\n]{1,40}\): Merge conflict in (?<path>[^\n]{1,300})/,
      confidence: 0.96,
      because: 'git merge',
    },
    { match: /Automatic merge failed; fix conflicts/, confidence: 0.95, because: 'git merge' },
    {
      match:
        /you have unmerged files|Exiting because of an? unresolved conflict|have not concluded your merge|unfinished merge/,
      confidence: 0.96,
      because: 'git pull in the middle of a merge',
    },
    {
      match:
        /local changes to the following files would be overwritten|untracked working tree files would be overwritten/,
      confidence: 0.96,
      because: 'git merge and checkout',
    },
    {
      match: /Unable to create '(?<path>[^'\n]{1,300}index\.lock)': File exists/,
      confidence: 0.97,
      because: 'git, when another git holds the index',
    },
    {
      match: /Not possible to fast-forward|Need to specify how to reconcile divergent branches/,
      confidence: 0.95,
      because: 'git pull --ff-only on a diverged branch',
    },
    {
      match:
        /loose object [0-9a-f]{4,64} [^\n]{0,200}is corrupt|object file [^\n]{1,200} is empty|detected dubious ownership in repository at '(?<repository>[^'\n]+)'/,
      confidence: 0.95,
      because: 'git fsck and start-up checks',
    },
    {
      match:
        /fatal: (?:not a git repository|refusing to merge|couldn't find remote ref|bad object|unable to access|Could not read from remote|Authentication failed|repository '[^'\n]*' not found)/,
      confidence: 0.93,
      because: 'git ends with fatal',
    },
    {
      match: /REMOTE HOST IDENTIFICATION HAS CHANGED|Permission denied \(publickey/,
      confidence: 0.9,
      fixable: false,
      because: 'ssh under git',
    },
    { match: /error: failed to push some refs/, confidence: 0.93, fixable: false, because: 'git push' },
  ],
  matches: [
    { text: 'CONFLICT (content): Merge conflict in main.py' },
    {
      text: 'error: Your local changes to the following files would be overwritten by merge:\n	main.py\nPlease commit your changes or stash them before you merge.\nAborting',
    },
    { text: "fatal: Unable to create '/srv/agent/.git/index.lock': File exists." },
  ],
  rejects: [
    {
      text: '2026-01-05 10:00:00,123 INFO [chat] user 81: and git says "CONFLICT (content): Merge conflict in main.py"',
    },
    { text: '2026-01-05 10:00:00,123 INFO [agent] git pull: Already up to date.' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] resolved merge conflict yesterday' },
  ],
});
