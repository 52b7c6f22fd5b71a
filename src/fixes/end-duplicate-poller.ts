// Two copies of a bot ask for the same updates, and each throws the other out. A leftover of the very same service is
// ended; a second bot that somebody has started on purpose, here or elsewhere, is only reported.

import type { EndProcessStep } from '../core/plan.ts';
import type { Probe, ProcessInfo, ServiceFacts, ServiceState } from '../host/contract.ts';
import type { DrillKit } from '../testing/drill-kit.ts';
import { type Diagnosis, defineFix, notApplicable, propose, refuse, type FixContext } from './contract.ts';
import { claimOf } from './shared/claims.ts';
import { isLeftover, named } from './shared/kin.ts';
import { reasonNotToStart, restartAfterStop, restartProofs, restartVia } from './shared/restarting.ts';

const CONFLICT = /terminated by other getUpdates request|only one bot instance is running/i;

export default defineFix({
  name: 'end-duplicate-poller',
  family: 'restart-service',
  title: 'End a second copy of a bot',
  handles: ['api_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 16,
  diagnose,
  drills: [
    {
      given: 'a leftover of the bot polls beside it',
      world: async (kit) => {
        await bot(kit);
        await kit.start(['python3', '-u', 'bot.py'], { ready: 'up' });
      },
      message: '409: Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
      facts: { status: 409 },
      type: 'api_error',
      expect: ['end-process', 'restart'],
    },
    {
      given: 'the other poller runs on another host, or is another program',
      world: bot,
      message: '409: Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
      facts: { status: 409 },
      type: 'api_error',
      expect: 'refused',
    },
    {
      given: 'another conflict is meant',
      world: (kit) => kit.write('a', ''),
      message: 'HTTP status 409: the document was changed by somebody else',
      facts: { status: 409 },
      type: 'api_error',
      expect: 'not-applicable',
    },
  ],
});

/** A bot that its control script starts, and that leaves with the folder. */
async function bot(kit: DrillKit): Promise<void> {
  await kit.write(
    'bot.py',
    'import os, time\nprint("up", flush=True)\nwhile os.path.exists("bot.py"): time.sleep(0.2)\n',
  );
  const control =
    '#!/bin/sh\ncd "$(dirname "$0")" || exit 1\nkill "$(cat bot.pid)" 2>/dev/null\nsetsid python3 -u bot.py </dev/null >out.log 2>&1 &\necho $! >bot.pid\n';
  await kit.write('ctl', control, 0o755);
  const { pid } = await kit.start(['python3', '-u', 'bot.py'], { ready: 'up' });
  await kit.write('bot.pid', String(pid));
  kit.service({ restart: { kind: 'command', argv: ['./ctl'], cwd: kit.directory } });
}

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  if (!CONFLICT.test(claimOf(incident))) return notApplicable('the log does not speak of a second poller');
  const state = await probe.services.state(service.name);
  if (!state.process)
    return refuse(`another program polls with the same token, and ${service.name} itself ${state.evidence}`);
  const leftovers = await leftoversOf(probe, service, state);
  if (leftovers.length === 0)
    return refuse(
      'another program polls with the same token, and it is no leftover of this service: look on your other hosts, or give it a token of its own',
    );
  const via = restartVia(service);
  const objection = reasonNotToStart(service, state);
  if (via === null || objection !== null) return refuse(objection ?? 'nobody is declared to start it');
  return propose({
    title: `end ${leftovers.length === 1 ? 'a second copy' : `${leftovers.length} copies`} of ${service.name} and restart it`,
    why: `${leftovers.map(named).join(', ')}: the program, folder and user of ${service.name}, and not its present process (${state.evidence}).`,
    facts: { pid: leftovers[0]?.pid ?? state.process.pid },
    steps: [...leftovers.map(endStep), restartAfterStop(service, via)],
    checks: restartProofs(service, false),
    resources: [],
    needsRestart: false,
  });
}

async function leftoversOf(probe: Probe, service: ServiceFacts, state: ServiceState): Promise<readonly ProcessInfo[]> {
  const found: ProcessInfo[] = [];
  for (const one of await probe.processes.list())
    if (one.executable !== null && (await isLeftover(probe, service, state, one))) found.push(one);
  return found;
}

function endStep(process: ProcessInfo): EndProcessStep {
  return {
    kind: 'end-process',
    title: `end ${named(process)}`,
    pid: process.pid,
    startTicks: process.startTicks,
    executable: process.executable ?? '',
    undo: { kind: 'none', reason: 'an ended process cannot be brought back; the service itself goes on' },
  };
}
