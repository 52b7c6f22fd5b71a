// Git cannot do what it was asked: conflicts, locks, refused updates, damaged objects, remotes out of reach.

import { defineRules } from './contract.ts';

export default defineRules(
  {
    name: 'git-overwritten',
    type: 'git_error',
    severity: 'medium',
    // A pull that one file blocks and a pull that another one blocks are two problems.
    identity: ['path'],
    patterns: [
      {
        on: 'text',
        match:
          /(?:changes to the following files|working tree files) would be (?:overwritten|removed) by [a-z][a-z -]{2,20}:\s{0,3}\n\s{0,8}(?<path>[^\s\n][^\n]{0,300})/,
        confidence: 0.975,
        because: 'git pull, merge and checkout name the files in the way below; made to happen',
      },
    ],
    matches: [
      {
        text: 'error: Your local changes to the following files would be overwritten by merge:\n\tmain.py\nPlease commit your changes or stash them before you merge.\nAborting',
        facts: { path: 'main.py' },
      },
      {
        text: '2026-01-05 10:00:00,123 ERROR [update] git pull exited with code 1:\nerror: Your local changes to the following files would be overwritten by merge:\n\tsrc/a.py\n\tsrc/b.py\nPlease commit your changes or stash them before you merge.',
        facts: { path: 'src/a.py' },
      },
      {
        text: 'error: The following untracked working tree files would be overwritten by checkout:\n\tnotes.txt\nPlease move or remove them before you switch branches.\nAborting',
        facts: { path: 'notes.txt' },
      },
    ],
    rejects: [
      { text: '2026-01-05 10:00:00,123 INFO [agent] no local changes would be overwritten by merge' },
      { text: '2026-01-05 10:00:00,123 INFO [chat] user: what does "would be overwritten by merge" mean?' },
      { text: 'Updating 1a2b3c4..5d6e7f8\nFast-forward\n main.py | 2 +-' },
    ],
  },
  {
    name: 'git-error',
    type: 'git_error',
    severity: 'medium',
    patterns: [
      {
        match: /CONFLICT \([^)\n]{1,40}\): (?:Merge conflict in )?(?<path>[^\s][^\n]{0,300})/,
        confidence: 0.97,
        because: 'git merge, pull, rebase and cherry-pick',
      },
      { match: /Automatic merge failed; fix conflicts/, confidence: 0.96, because: 'git merge' },
      {
        match:
          /you have unmerged files|because you have unmerged files|Exiting because of an? unresolved conflict|have not concluded your merge|unfinished merge|needs merge$|is unmerged|could not apply [0-9a-f]{5,40}|Resolve all conflicts manually|(?:merge|cherry-pick|revert|rebase) is (?:already )?in progress/,
        confidence: 0.96,
        because: 'git in the middle of a merge or rebase',
      },
      {
        match:
          /(?:local )?changes to the following files would be overwritten|untracked working tree files would be (?:overwritten|removed)|cannot (?:pull with rebase|rebase): You have unstaged changes|[Pp]lease,? commit (?:your changes or stash|or stash)/,
        confidence: 0.965,
        because: 'git pull, merge and checkout',
      },
      {
        match: /Unable to create '(?<path>[^'\n]{1,300}\.lock)': File exists|Another git process seems to be running/,
        confidence: 0.97,
        because: 'git, when another git holds the index',
      },
      {
        match: /cannot lock ref '|unable to lock|Unable to create '[^'\n]{1,300}\.lock'|could not lock config file/,
        confidence: 0.94,
        because: 'git cannot take a lock',
      },
      {
        match:
          /Not possible to fast-forward|Need to specify how to reconcile divergent branches|divergent branches|refusing to merge unrelated histories|Cannot fast-forward/,
        confidence: 0.95,
        because: 'git pull --ff-only on a diverged branch',
      },
      {
        match:
          /loose object [0-9a-f]{4,64} [^\n]{0,200}is corrupt|object file [^\n]{1,200} is empty|bad (?:object|tree|signature|index file|sha1|ref)\b[^\n]{0,80}(?:HEAD|[0-9a-f]{7,40}|sha1|refs|signature|index)|index file (?:corrupt|smaller than expected)|fatal: (?:packfile|pack has|early EOF|index-pack failed|unable to read tree|bad config)|inflate: data stream error|(?:missing|dangling|broken) (?:blob|tree|commit) [0-9a-f]{7,40}|error: (?:refs|HEAD)\S{0,80} does not point to a valid object|remote did not send all necessary objects/,
        confidence: 0.955,
        fixable: false,
        because: 'git fsck and start-up checks',
      },
      {
        match:
          /detected dubious ownership in repository at '(?<repository>[^'\n]+)'|unsafe repository \('(?<repository2>[^'\n]+)'/,
        confidence: 0.97,
        because: 'git refuses a repository of another owner',
      },
      {
        match:
          /fatal: not a git repository|does not appear to be a git repository|Repository not found\.|repository '[^'\n]*' not found|fatal: repository '/,
        confidence: 0.955,
        fixable: false,
        because: 'there is no repository where git looks',
      },
      {
        match:
          /fatal: Authentication failed|could not read (?:Username|Password) for|Permission denied \(publickey|Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|Invalid username or (?:password|token)|Support for password authentication was removed|remote: (?:HTTP Basic: Access denied|Permission to \S{1,200} denied|Invalid username|Write access to repository not granted)|gpg failed to sign the data/,
        confidence: 0.965,
        fixable: false,
        severity: 'high',
        because: 'the remote refuses us, or we refuse the remote',
      },
      {
        match:
          /fatal: (?:unable to access|unable to connect|Could not read from remote|unable to look up|protocol error|the remote end hung up|couldn't find remote ref|read error|fetch-pack|expected)|Could not read from remote repository|RPC failed; (?:curl|HTTP|result)|the remote end hung up unexpectedly|fetch-pack: |error: (?:remote unpack failed|cannot open (?:\.git|FETCH_HEAD)|unable to (?:write|unlink|create)|insufficient permission for adding an object)/,
        confidence: 0.95,
        because: 'git cannot speak with the remote',
      },
      {
        match:
          /failed to push some refs|! \[(?:remote )?rejected\]|\(non-fast-forward\)|\(fetch first\)|\(pre-receive hook declined\)|Updates were rejected because|this exceeds GitHub's file size limit/,
        confidence: 0.95,
        because: 'git push',
      },
      {
        match:
          /error: (?:pathspec '|src refspec|cannot rebase|your local|unknown (?:option|switch) [`'][\w=-]+|branch '[^'\n]{1,200}' not found|no such remote|patch failed|unable to read|corrupt patch|remote \S{1,80} already exists)|fatal: (?:ambiguous argument|bad (?:object|revision)|invalid (?:reference|object|branch)|destination path|No url found for submodule|remote \S{1,80} already exists|Unable to (?:create|find|read|checkout)|cannot (?:do|create|lock|exec|force|rebase|mkdir)|could not (?:create|read|open|lock|parse|checkout|set)|a branch named|The current branch|No configured push|'[^'\n]{1,200}' (?:does not|is (?:not|already))|no (?:upstream|such|submodule)|pathspec|You (?:are|have)|empty ident|unable to auto-detect|reference is not a tree|Needed a single revision|No names found|unrecognized|loose object|not something we can merge|cannot update|Exiting|refusing)|smudge filter lfs failed|batch response: |There is no tracking information for the current branch|You are not currently on a branch|fatal: .{0,60}HEAD/,
        confidence: 0.93,
        fixable: false,
        because: 'git ends with fatal or error',
      },
      {
        match:
          /\bgit(?: [a-z-]{2,20}){1,3}(?: \S{1,80}){0,3} (?:failed|exited with (?:code|status) [1-9]\d{0,2}|returned (?:non-zero|[1-9]\d{0,2}))|Command '?\[?'?git\b[^\n]{0,200}returned non-zero exit status|GitCommandError|GitError\b|subprocess[^\n]{0,40}git[^\n]{0,80}non-zero|(?:merge|rebase|cherry-pick) conflicts? (?:in|detected|found)\b/,
        confidence: 0.915,
        because: 'a program says that its git failed',
      },
      {
        match: /remote: error: /,
        confidence: 0.945,
        because: 'a git server refuses a push',
      },
      {
        match: /[Ff]ailed to (?:merge|clone|recurse into|checkout|update) submodule/,
        confidence: 0.945,
        because: 'git on submodules',
      },
    ],
    never: [/no merge conflict|error: \d+ errors? found/i],
    matches: [
      { text: 'CONFLICT (content): Merge conflict in main.py', facts: { path: 'main.py' } },
      {
        text: 'error: Your local changes to the following files would be overwritten by merge',
      },
      {
        text: "fatal: Unable to create '/srv/agent/.git/index.lock': File exists.",
        facts: { path: '/srv/agent/.git/index.lock' },
      },
      { text: "fatal: detected dubious ownership in repository at '/srv/agent'", facts: { repository: '/srv/agent' } },
      {
        text: 'error: object file .git/objects/3f/a0c1 is empty\nfatal: loose object 3fa0c1 (stored in .git/objects/3f/a0c1) is corrupt',
      },
      { text: 'git@git.example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.' },
      { text: " ! [rejected]        main -> main (fetch first)\nerror: failed to push some refs to 'origin'" },
      { text: 'fatal: Not possible to fast-forward, aborting.' },
      { text: '2026-01-05 10:00:00,123 ERROR [update] git pull origin main exited with code 1' },
    ],
    rejects: [
      {
        text: '2026-01-05 10:00:00,123 INFO [chat] user 81: and git says "CONFLICT (content): Merge conflict in main.py"',
      },
      { text: '2026-01-05 10:00:00,123 INFO [agent] git pull: Already up to date.' },
      { text: '2026-01-05 10:00:00,123 INFO [agent] resolved merge conflict yesterday' },
      { text: '9f1c2ab HEAD@{3}: commit: fix: merge conflict in the parser' },
    ],
  },
);
