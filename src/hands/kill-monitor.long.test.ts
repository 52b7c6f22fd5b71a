// The process that decides dies, wherever it may: *hands* ends what it began, and the next monitor takes its word for it.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { compile, type Compiled } from '../testing/compiled.ts';
import {
  brokenMonitorKills,
  killMonitor,
  MONITOR_SOURCES,
  type MonitorKill,
  monitorKillTable,
} from '../testing/kill-monitor.ts';

let compiled: Compiled;
const all: MonitorKill[] = [];
beforeAll(async () => void (compiled = await compile(MONITOR_SOURCES)));
afterAll(async () => {
  console.log(monitorKillTable(all));
  await compiled.remove();
});

it.each(['act', 'undo'] as const)(
  'leaves nothing half done, nothing done twice and everything in the books, killed at every place of %s',
  async (path) => {
    const rows = await killMonitor(compiled, path);
    all.push(...rows);
    expect(rows.length).toBeGreaterThan(20);
    expect(brokenMonitorKills(rows)).toEqual([]);
  },
  1_800_000,
);
