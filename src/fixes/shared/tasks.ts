// No more tasks may be started: whether a service has used them up itself.

import type { Probe, ProcessInfo } from '../../host/contract.ts';
import { named, treeOf } from './kin.ts';

/** How a shell, Python, a libc and Node say it. */
export const NO_TASK_LEFT =
  /fork: retry: Resource temporarily unavailable|can't start new thread|pthread_create.{0,40}Resource temporarily|spawn .{0,80}EAGAIN/i;

/** From this share of what it may have on, the service itself is what multiplies. */
const NEARLY_ALL = 0.8;

/** What the process tree holds of the tasks that its user may have. */
export async function tasksOf(
  probe: Probe,
  root: ProcessInfo,
): Promise<{ readonly isNearlyAll: boolean; readonly said: string }> {
  const tree = await treeOf(probe, root);
  const usages = await Promise.all(tree.map(({ pid }) => probe.processes.usage(pid)));
  const held = usages.reduce((sum, usage) => sum + (usage?.tasks ?? 0), 0);
  const limits = usages.flatMap((usage) => (usage && usage.maxTasks !== null ? [usage.maxTasks] : []));
  const most = Math.min(...limits);
  const said = `${named(root)} runs ${held} tasks with its children, of ${limits.length === 0 ? 'no stated limit' : most}`;
  return { isNearlyAll: held >= most * NEARLY_ALL, said };
}
