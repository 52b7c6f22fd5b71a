// A service or one of its processes ended without being asked to.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'service-crash',
  type: 'service_crash',
  severity: 'critical',
  patterns: [
    {
      match: /(?:Main|Control) process exited, code=(?:exited|killed|dumped), status=(?<exitCode>\d{1,3})/,
      level: 'info',
      confidence: 0.955,
      because: 'systemd',
    },
    {
      match:
        /Start request repeated too quickly|start-limit-hit|Failed with result '(?:exit-code|signal|core-dump|watchdog|start-limit-hit|timeout|protocol|resources)'|Unit entered failed state|Failed to start [A-Z]|Dependency failed for|Scheduled restart job, restart counter is at (?:[5-9]|\d{2,})\b/,
      level: 'info',
      confidence: 0.95,
      because: 'systemd gives up, or says how a unit ended',
    },
    {
      match:
        /[Ww]atchdog timeout \(limit|[Ww]atchdog: (?:BUG|main process|process \S{1,40} (?:died|hung))|soft lockup - CPU|Killing process \d+ \([^)\n]{1,60}\) with signal SIG(?:ABRT|SEGV)/,
      level: 'info',
      confidence: 0.955,
      because: 'watchdogs of systemd and the kernel',
    },
    {
      match:
        /[Ss]egmentation fault|\(core dumped\)|dumped core|segfault at [0-9a-f]|general protection fault|trap (?:invalid opcode|divide error|int3)|Aborted \(core|\bSIG(?:SEGV|BUS|ILL|FPE)\b|exit signal (?:Segmentation|Abort|Bus|Illegal|Floating)|Fatal Python error: |Illegal instruction|Bus error|double free or corruption|free\(\): invalid|malloc\(\): |corrupted size vs\. prev_size|munmap_chunk\(\): |stack smashing detected|Assertion `[^`\n]{1,200}' failed|pure virtual method called|terminate called (?:after|without)|Kernel panic|kernel BUG at|Unable to handle kernel|Call Trace:$|EXCEPTION_ACCESS_VIOLATION|A fatal error has been detected by the Java Runtime|Fatal signal \d+ \(SIG/,
      level: 'info',
      confidence: 0.95,
      because: 'shells, the kernel, C libraries and runtimes',
    },
    {
      match:
        /app crashed - waiting for file changes|too many unstable restarts|Script \S{1,200} had too many|App \[[^\]\n]{1,80}\] (?:with id \[\d+\] and pid \[\d+\], )?exited with code \[(?:[1-9]\d{0,2})\]|\[PM2\]\[ERROR\]|exited with code [1-9]\d{0,2} because|gave up: \S{1,80} entered FATAL state|exited: \S{1,80} \((?:exit status [1-9]\d{0,2}|terminated by SIG(?:KILL|SEGV|ABRT|BUS))|\(exit status [1-9]\d{0,2}; not expected\)|spawnerr: |Worker \(pid:\d+\) was sent SIG(?:KILL|SEGV|ABRT)|Worker failed to boot|exited on signal (?:6|7|8|9|11)\b|child process died|worker process \d+ exited (?:on signal|with (?:fatal )?code [1-9])/,
      level: 'info',
      confidence: 0.945,
      because: 'nodemon, pm2, supervisord, gunicorn, nginx, uwsgi',
    },
    {
      match:
        /CrashLoopBackOff|Back-off restarting failed container|BackoffLimitExceeded|Liveness probe failed|container \S{1,80} (?:died|exited with (?:code )?[1-9])|exited with code (?:1[3-9]\d|2[0-5]\d|[1-9]\d?)\b[^\n]{0,20}$|Error: failed to start container|OCI runtime (?:create|exec) failed|runc create failed|dependency failed to start: container|is unhealthy$|terminated with (?:signal|exit code) [1-9]/,
      level: 'info',
      confidence: 0.9,
      because: 'Kubernetes, docker and compose',
    },
    {
      match:
        /(?:process|worker|child|server|service|daemon|instance|application|app|bot|agent|job|plugin process|engine|thread|gateway|runtime|browser|session|kernel|backend)(?: \S{1,80}){0,8} (?:has |have |was |is )?(?:crashed|died(?: unexpectedly)?|exited unexpectedly|terminated unexpectedly|terminated abnormally|aborted|was killed|(?:exited|terminated|ended|failed|finished|quit|died) with (?:an? )?(?:non-?zero )?(?:exit )?(?:code|status|signal)[ :=]{0,3}(?:-?[1-9]\d{0,9}|SIG[A-Z]+|0x[0-9a-f]+)|exited (?:code|status)[= ]\d|exited: [^\n]{0,400}exit status [1-9])/i,
      level: 'debug',
      confidence: 0.89,
      because: 'usual wording',
    },
    {
      match:
        /[Bb]ot crashed|[Cc]rash(?:ed|ing) (?:with|on|during|after|in|at|because)|[Uu]nexpected(?:ly)? (?:exit|termination|shut ?down|died|terminated)|[Ff]atal (?:error|exception)[^\n]{0,40}(?:shutting down|exiting|aborting|terminating)|[Ss]hutting down (?:due to|because of) (?:an? )?(?:fatal|error|exception|unhandled)|(?:failed|unable) to (?:start|restart) (?:the )?(?:service|server|daemon|container|gateway|worker|agent|bot|unit)\b|(?:aborted|killed|terminated|stopped) by (?:a )?signal\b|\bpanic(?:ked)?: (?:runtime error|assignment|send on|close of|all goroutines)|all goroutines are asleep|ELIFECYCLE|exit(?:ed)? (?:code|status) (?:134|137|139)\b/,
      confidence: 0.87,
      because: 'usual wording',
    },
    {
      match:
        /State changed from \w{1,20} to crashed|Process exited with status [1-9]\d{0,2}\b|Runtime exited (?:with error|without providing)|Runtime\.ExitError|Considering it to be crashed|server will forcibly shut ?down|Application (?:instance )?(?:\S{1,60} )?(?:crashed|exited with code [1-9])/,
      level: 'info',
      confidence: 0.94,
      because: 'Heroku, Lambda, game servers and platforms on an application that has ended',
    },
    {
      match:
        /\b(?:GenServer|Generic server|gen_server|gen_statem|Supervisor|Task|Ranch listener|Process)\b[^\n]{1,200} (?:terminating|terminated)\b|CRASH REPORT|\bchild \S{1,80} of (?:Supervisor|supervisor)\b/,
      level: 'info',
      confidence: 0.6,
      because: 'Erlang and Elixir; the reason stands below',
    },
    {
      match:
        /npm (?:ERR!|error) (?:code (?:ELIFECYCLE|[1-9]\d{0,2})$|Lifecycle script `[^`\n]{1,60}` failed|\S{1,80} \S{1,40}: `)|error Command failed with exit code [1-9]\d{0,2}|ELIFECYCLE {1,2}Command failed/,
      confidence: 0.7,
      because: 'npm, yarn and pnpm on a script that failed for a reason of its own',
    },
    {
      match: /[Ee]xited abnormally|restart of crashed service/,
      confidence: 0.87,
      severity: 'high',
      fixable: false,
      because: 'a job has ended badly, or its own supervisor starts it again already',
    },
    {
      match:
        /Unhandled promise rejection|UnhandledPromiseRejection|triggerUncaughtException|(?:process|app)\.on\('uncaughtException'|Uncaught Exception|uncaughtException\b|Non-fatal unhandled rejection/,
      confidence: 0.5,
      because: 'Node ends, or would end, of an error nobody caught',
    },
    {
      match:
        /blk_update_request: (?:I\/O|critical) error|Buffer I\/O error on dev|EXT4-fs error|XFS \([^)\n]{1,30}\): (?:Corruption|metadata I\/O|Internal error)|BTRFS (?:error|critical)|I\/O error, dev |ata\d+(?:\.\d+)?: (?:failed command|exception Emask)|critical medium error|Medium Error|Machine [Cc]heck|Hardware Error|EDAC \S{1,20}: .{0,40}(?:UE|uncorrect)|SMART[^\n]{0,40}(?:FAIL|failing)/,
      level: 'info',
      confidence: 0.93,
      fixable: false,
      because: 'the kernel on a failing device',
    },
  ],
  never: [
    /status=0\/|exited with (?:code|status) 0\b|exit (?:code|status) 0\b|code=exited, status=0|crash reports? (?:go|goes|are) |has not crashed/i,
  ],
  matches: [
    {
      text: 'Jan  5 10:00:00 vm systemd[1]: agent.service: Main process exited, code=killed, status=11/SEGV',
      facts: { exitCode: 11 },
    },
    { text: 'Jan  5 10:00:00 vm systemd[1]: agent.service: Start request repeated too quickly.' },
    { text: '/srv/run.sh: line 3: 4711 Segmentation fault (core dumped) ./agent' },
    { text: '2026-01-05 10:00:00,123 CRITICAL [watchdog] worker process died unexpectedly' },
    { text: '2026-01-05 10:00:00,123 INFO spawned: exited: agent (exit status 3; not expected)' },
    { text: 'Jan  5 10:00:00 vm systemd[1]: agent.service: Watchdog timeout (limit 30s)!' },
    { text: 'Jan  5 10:00:00 vm kernel: blk_update_request: I/O error, dev sdb, sector 9000' },
    { text: '/srv/agent/run: free(): invalid pointer' },
  ],
  rejects: [
    { text: 'Jan  5 10:00:00 vm systemd[1]: agent.service: Deactivated successfully.' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: "Segmentation fault"' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] started' },
    { text: '2026-01-05 10:00:00,123 INFO [sup] worker exited with code 0' },
  ],
});
