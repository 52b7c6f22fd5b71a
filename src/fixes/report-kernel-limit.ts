// A limit of the kernel is reached. The words are those of a full disk or of a leak, but neither room nor a restart is
// what is missing; raising a limit of the host is the owner's decision.

import { type Diagnosis, defineFix, notApplicable, refuse, type FixContext } from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { drillService } from './shared/drill-service.ts';
import { NO_TASK_LEFT, tasksOf } from './shared/tasks.ts';

const LIMITS: readonly { readonly match: RegExp; readonly advice: string; readonly next: readonly string[] }[] = [
  {
    match: /number of file watchers reached|inotify (?:watch|instance)/i,
    advice: 'file watchers are used up, not the disk: raise `fs.inotify.max_user_watches` (or watch fewer folders)',
    next: [
      'sysctl fs.inotify.max_user_watches fs.inotify.max_user_instances',
      'sudo sysctl -w fs.inotify.max_user_watches=524288',
    ],
  },
  {
    match: /too many open files in system|\bENFILE\b/i,
    advice: 'the whole host has no descriptors left: find who holds them (`lsof | sort`), or raise `fs.file-max`',
    next: ['cat /proc/sys/fs/file-nr', 'sysctl fs.file-max'],
  },
  {
    match: NO_TASK_LEFT,
    advice:
      'no more tasks may be started: look for what multiplies (`ps -eLf`), or raise TasksMax or `ulimit -u` for it',
    next: ['ps -eLo user= | sort | uniq -c | sort -n', 'sysctl kernel.pid_max kernel.threads-max'],
  },
  {
    match: /nf_conntrack: table full/i,
    advice:
      'the table of tracked connections is full: find the top talker (`conntrack -L`), or raise `nf_conntrack_max`',
    next: ['sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max', 'ss -s'],
  },
  {
    match: /cannot assign requested address|\bEADDRNOTAVAIL\b/i,
    advice:
      'no outgoing port is left, or the address is none of this host: count sockets (`ss -s`), and reuse connections',
    next: ['ss -s', 'sysctl net.ipv4.ip_local_port_range', 'ss -tanp state time-wait | wc -l'],
  },
];

export default defineFix({
  name: 'report-kernel-limit',
  family: 'restart-service',
  title: 'Say which limit of the kernel is reached',
  handles: ['too_many_files', 'disk_full', 'out_of_memory', 'api_error'],
  risk: 'safe',
  scope: 'host',
  autonomy: 'auto',
  order: 7,
  diagnose,
  drills: [
    {
      given: 'file watchers are used up, in the words of a full disk',
      world: (kit) => kit.write('a', ''),
      message: "Error: ENOSPC: System limit for number of file watchers reached, watch '/srv/agent'",
      facts: {},
      type: 'disk_full',
      expect: 'refused',
    },
    {
      given: 'no task may be started, and the service runs a few only',
      world: async (kit) => {
        await (await drillService(kit)).start();
      },
      message: 'bash: fork: retry: Resource temporarily unavailable',
      facts: {},
      type: 'out_of_memory',
      expect: 'refused',
    },
    {
      given: 'the service itself runs nearly all tasks it may have',
      world: async (kit) => {
        const { start } = await drillService(kit);
        await kit.write('multiply', '');
        await start();
      },
      message: 'bash: fork: retry: Resource temporarily unavailable',
      facts: {},
      type: 'out_of_memory',
      expect: 'not-applicable',
    },
    {
      given: 'the disk itself is meant',
      world: (kit) => kit.write('a', ''),
      message: 'ENOSPC: no space left on device, write',
      facts: {},
      type: 'disk_full',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const limit = LIMITS.find(({ match }) => match.test(claimOf(incident)));
  const { process } = limit?.match === NO_TASK_LEFT ? await probe.services.state(service.name) : { process: null };
  const tasks = process && (await tasksOf(probe, process));
  if (tasks?.isNearlyAll) return notApplicable(`${tasks.said}: the service itself multiplies, and can be started anew`);
  return limit ? refuse(limit.advice, limit.next) : notApplicable('no limit of the kernel is named');
}
