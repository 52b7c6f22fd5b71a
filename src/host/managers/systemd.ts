// State of a service that systemd runs, as `systemctl show` tells it.

import type { ServiceFacts, ServiceState } from '../contract.ts';
import { isPlainName, type ManagerMeans, unknownState } from './manager.ts';

const PROPERTIES = 'LoadState,ActiveState,SubState,Result,MainPID,NRestarts,NeedDaemonReload';

/** `ActiveState` while systemd itself is at work: it starts, stops or waits before a restart of its own. */
const IN_BETWEEN: ReadonlySet<string> = new Set(['activating', 'deactivating', 'reloading', 'maintenance']);

export async function systemdState(service: ServiceFacts, means: ManagerMeans, unit: string): Promise<ServiceState> {
  if (!isPlainName(unit)) return unknownState(`"${unit}" is not the plain name of a unit`);
  const result = await means.run(['systemctl', 'show', '--no-pager', `--property=${PROPERTIES}`, '--', unit], {
    cwd: '/',
    timeoutMs: 10_000,
    leash: 'group',
  });
  if (result.code !== 0)
    return unknownState(`systemctl: ${result.failure ?? result.stderr.trim().split('\n')[0] ?? ''}`);
  return judge(service, means, unit, parseProperties(result.stdout));
}

/** `Name=value` lines. */
export function parseProperties(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split('\n').flatMap((line): [string, string][] => {
      const at = line.indexOf('=');
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1)]] : [];
    }),
  );
}

async function judge(
  service: ServiceFacts,
  means: ManagerMeans,
  unit: string,
  shown: ReadonlyMap<string, string>,
): Promise<ServiceState> {
  const active = shown.get('ActiveState') ?? '';
  const result = shown.get('Result') ?? '';
  if (shown.get('LoadState') !== 'loaded')
    return unknownState(`unit ${unit} is ${shown.get('LoadState') ?? 'unknown'}`);
  const pid = Number(shown.get('MainPID') ?? 0);
  const process = pid > 0 ? await means.processes.process(pid) : null;
  const needsReload = shown.get('NeedDaemonReload') === 'yes';
  return {
    running: IN_BETWEEN.has(active) ? 'unknown' : active === 'active',
    process,
    // A unit that failed was not stopped by anybody; one that is inactive after success was.
    stoppedOnPurpose: active === 'inactive' && (result === 'success' || result === ''),
    recentStarts: process ? await means.memory.note(service.name, process, []) : await recentStarts(service, means),
    supervisorGaveUp: result === 'start-limit-hit',
    needsReload,
    evidence: `systemd: ${unit} is ${active} (${shown.get('SubState') ?? ''}), result ${result || 'none'}`,
  };
}

async function recentStarts(service: ServiceFacts, means: ManagerMeans): Promise<number> {
  return (await means.memory.last(service.name))?.starts.length ?? 0;
}
