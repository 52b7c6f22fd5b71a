// The operating system or a server says no.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'permission-error',
  type: 'permission_error',
  severity: 'high',
  // Only a mode that was recorded can be given back, and no log line knows that.
  fixable: false,
  patterns: [
    {
      match: /PermissionError: \[(?:Errno|WinError) \d{1,5}\] [^\n:]{1,80}: b?['"](?<path>[^'"\n]+)['"]/,
      confidence: 0.965,
      because: 'Python class',
    },
    { match: /\b(?:EACCES|EPERM): [\w ,-]{1,60}, \w+ '(?<path>[^'\n]+)'/, confidence: 0.965, because: 'Node errno' },
    {
      match:
        /java\.nio\.file\.AccessDeniedException: (?<path>[^\s:]{1,300})|\((?:Permission denied|Access is denied)\)/,
      confidence: 0.955,
      because: 'Java',
    },
    { match: /Errno::E(?:ACCES|PERM)\b/, confidence: 0.95, because: 'Ruby' },
    {
      on: 'exception',
      match:
        /(?:^|[.\s])(?:PermissionError|AccessDenied(?:Error|Exception)?|PermissionDenied(?:Error|Exception)?|Forbidden(?:Error|Exception)?|UnauthorizedAccessException|AccessControlException|NotAuthorizedException|AuthorizationException|InsufficientPermission\w*|ChatAdminRequired\w*|ChatWriteForbidden\w*|UserIsBlocked\w*|SecurityException)\b/,
      confidence: 0.935,
      because: 'exception classes of many languages and SDKs',
    },
    {
      match:
        /(?:^|[\s:'"‘`([])(?:[Pp]ermission denied|[Oo]peration not permitted|[Aa]ccess is denied|[Aa]ccess denied)\b/,
      confidence: 0.9,
      because: 'errno as C libraries and Windows word it',
    },
    { match: /\b(?:EACCES|EPERM)\b/, confidence: 0.91, because: 'the errno as Node names it' },
    {
      match:
        /(?:^|\W)PERMISSION_DENIED\b|AccessDenied\b|UnauthorizedOperation|is not authorized to perform|AuthorizationFailed|insufficient_scope|insufficientPermissions|insufficient (?:permissions?|privileges|scope|authentication scopes|access rights)|not allowed to access|missing_scope|not_in_channel|Missing Permissions|Missing Access|resource not accessible by/i,
      confidence: 0.925,
      because: 'gRPC, clouds, Slack, Discord and GitHub',
    },
    {
      match:
        /(?:error[ _]?code|status(?:[ _]?code)?|http(?:\/\d(?:\.\d)?)?|response(?:[ _]?code)?|returned|answered|got|code|error)["'\\]{0,3}(?:\s?[:=]\s?|\s|\(){1,2}["'\\]{0,2}(?<status>403)\b/i,
      words: ['\\b403\\b'],
      confidence: 0.9,
      because: 'a client prints status 403',
    },
    {
      match: /(?:\b|\()(?<status>403)["'\])]{0,2}[ :,-]{1,3}\(?(?:Forbidden|Client Error|PERMISSION_DENIED|Access)/i,
      words: ['\\b403\\b'],
      confidence: 0.91,
      because: 'status line of 403',
    },
    {
      match:
        /(?:do not|don't|does not|doesn't) have (?:the )?(?:\S{1,60} ){0,3}(?:permissions?|access|privileges?|authorization|roles?|rights)\b|(?:lacks?|has no|have no|without) (?:the )?(?:required |necessary |sufficient )?(?:permissions?|access|privileges|rights)\b/i,
      words: ['not have ', "n't have ", 'has no ', 'have no ', 'lacks ', 'lack ', 'without '],
      confidence: 0.9,
      because: 'usual wording',
    },
    {
      match: /"HTTP\/\d(?:\.\d)? (?<status>403) Forbidden"/,
      level: 'info',
      confidence: 0.9,
      because: 'an HTTP client logs the answer to its own request',
    },
    {
      match:
        /bot was (?:blocked by the user|kicked from)|not enough rights to|need administrator rights|have no rights to send|user is deactivated|Forbidden: /,
      confidence: 0.945,
      because: 'the Telegram Bot API',
    },
    {
      match:
        /(?:is |are )?not (?:writ(?:e|)able|readable|executable)\b|[Ww]riting to (?:directory )?(?<path>\/\S{1,300}) is not allowed|(?:must be|are you|not running as) root|requires? root(?: privileges)?|superuser|not privileged\b|[Nn]ot authorized to (?:perform|access|execute|do)|[Ii]nsecure permissions|bad (?:ownership|permissions)|wrong (?:owner|permissions)|[Aa]ccess to (?:\S{1,200} )?(?:is |was )?(?:denied|forbidden)|[Rr]equest (?:is |was )?forbidden|client denied by server configuration|directory index of "[^"\n]{1,300}" is forbidden|access forbidden by rule/,
      confidence: 0.86,
      because: 'usual wording',
    },
    {
      match:
        /apparmor="DENIED"[^\n]{0,200}name="(?<path>[^"\n]{1,300})"|avc: {1,2}denied {1,2}\{|permission denied for (?:table|relation|schema|database|sequence|function|view)|must be owner of|SELECT command denied|command denied to user|(?:user|role) [^\n]{1,60} is not permitted to/,
      level: 'info',
      confidence: 0.945,
      because: 'AppArmor, SELinux and databases',
    },
    {
      match:
        /Error from server \(Forbidden\)|is forbidden: User "|Missing sudo password|sudo: (?:a terminal is required|no tty present)|cannot (?:get|list|watch|create|update|patch|delete) resource "/,
      confidence: 0.945,
      because: 'Kubernetes and Ansible',
    },
    {
      match: /[Rr]ead-only file ?system|\bEROFS\b|Remounting filesystem read-only/,
      confidence: 0.945,
      severity: 'critical',
      because: 'EROFS, and the kernel that gives up a file system',
    },
    {
      match: /user NOT in sudoers|is not in the sudoers file|a password is required$|incorrect password attempts?/,
      level: 'info',
      confidence: 0.93,
      because: 'sudo',
    },
    {
      match: /\bkind: (?:PermissionDenied|ReadOnlyFilesystem)\b/,
      confidence: 0.95,
      because: 'kinds of an I/O error as Rust prints them',
    },
    {
      match: /Discord(?:API|HTTP)?Error\[(?:5000[17]|50013|40(?:00[78]))\]|Error code: ?(?:50001|50013)\b/,
      confidence: 0.95,
      because: 'Discord codes for missing rights; from its documentation',
    },
    {
      match:
        /\bPrivilegedIntentsRequired\b|[Pp]rivileged intents? [^\n]{0,40}(?:not been|disallowed|required)|\b403 status code\b/,
      confidence: 0.93,
      because: 'discord.py, and SDKs that print the bare status; from documentation',
    },
  ],
  never: [/publickey/i],
  matches: [
    {
      text: "2026-01-05 10:00:00,123 ERROR [agent] PermissionError: [Errno 13] Permission denied: '/srv/agent/data/state.json'",
      facts: { path: '/srv/agent/data/state.json' },
    },
    { text: "Error: EACCES: permission denied, open '/srv/agent/a'", facts: { path: '/srv/agent/a' } },
    { text: '2026-01-05 10:00:00,123 ERROR [http] 403 Forbidden', facts: { status: 403 } },
    { text: '2026-01-05 10:00:00,123 ERROR [bot] telegram.error.Forbidden: Forbidden: bot was blocked by the user' },
    { text: '/srv/run.sh: line 3: /srv/data/out.log: Permission denied' },
    { text: "2026-01-05 10:00:00,123 ERROR [agent] OSError: [Errno 30] Read-only file system: '/srv/agent/x'" },
    { text: '2026-01-05 10:00:00.123 UTC [88] ERROR:  permission denied for table jobs' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] permissions checked' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: "Permission denied" again' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] EPERM ignored as expected' },
    { text: 'git@git.example.com: Permission denied (publickey).' },
  ],
});
