// Starts a service anew through whoever owns it: our supervisor, systemd, pm2, docker or the owner's own
// command. Done means that somebody else runs than before; nothing else is believed.

import type { RestartStep } from '../../core/plan.ts';
import { type Effect, type EffectContext, EffectError, type ServiceState, type Snapshot } from '../contract.ts';
import { isPlainName } from '../managers/manager.ts';
import { inFolder } from '../services.ts';

interface Before extends Snapshot {
  /** Who ran when the step began; null when nobody did. */
  readonly identity: { readonly pid: number; readonly startTicks: number } | null;
  /** How often it had been started by then, where that is counted. */
  readonly starts?: number;
}

/** A polite stop may take seconds, and a start some more. */
const RESTART_MS = 90_000;
const SUPERVISED_MS = 30_000;
const POLL_MS = 150;
/** Units that no log may ever get restarted: without them the owner is locked out, or we are gone. */
const NEVER_UNITS = /^(?:ssh|sshd|selfheal|dbus|systemd-.*|NetworkManager|networking)(?:@.*)?(?:\.service)?$/;

export const restart: Effect<RestartStep> = {
  kind: 'restart',

  async snapshot(step, context) {
    const problem = problemWith(step);
    if (problem !== null) throw new EffectError('refused', problem);
    const state = await context.services.state(step.service);
    if (state.stoppedOnPurpose && step.afterStop !== true)
      throw new EffectError('precondition', `${step.service} was stopped on purpose: ${state.evidence}`);
    const identity = identityOf(state);
    if (step.before !== undefined && !same(step.before, identity))
      throw new EffectError('precondition', `another process runs than the plan saw: ${state.evidence}`);
    return { identity, ...(state.starts === undefined ? {} : { starts: state.starts }) } satisfies Before;
  },

  async apply(step, snapshot, context) {
    const { via } = step;
    switch (via.kind) {
      case 'supervised':
        return restartSupervised(step, snapshot as Before, context);
      case 'systemd':
        return command(['systemctl', '--no-ask-password', 'restart', '--', via.unit], '/', context);
      case 'pm2':
        // Without --update-env pm2 keeps the environment it has on record.
        return command(['pm2', 'restart', via.name], directoryOf(step, context), context);
      case 'docker':
        return command(['docker', 'restart', '--', via.container], '/', context);
      case 'command':
        return command(inFolder(via.argv, via.cwd), via.cwd, context);
    }
  },

  async probe(step, snapshot, context) {
    const before = snapshot as Before;
    const state = await context.services.state(step.service);
    if (isAnew(before, state)) return 'done';
    return state.process !== null || before.identity === null ? 'not-done' : 'unclear';
  },

  // A start is not undone by a stop: what ran before cannot be brought back, and the step says so.
  undo: () => Promise.resolve(),
  differences: () => Promise.resolve([]),
};

type Identity = Before['identity'];

function identityOf(state: ServiceState): Identity {
  return state.process && { pid: state.process.pid, startTicks: state.process.startTicks };
}

function same(a: Identity, b: Identity): boolean {
  return a === null || b === null ? a === b : a.pid === b.pid && a.startTicks === b.startTicks;
}

/** Somebody else runs than before, or was started and has ended by now: how it fares is for the checks to say. */
function isAnew(before: Before, state: ServiceState): boolean {
  const now = identityOf(state);
  if (now !== null) return !same(before.identity, now);
  const isCounted = before.starts !== undefined && state.starts !== undefined;
  return isCounted && state.starts !== before.starts && state.failure === undefined;
}

/** Names of units, processes and containers are exact and plain: no pattern, no path, no option. */
function problemWith({ via }: RestartStep): string | null {
  const name =
    via.kind === 'systemd' ? via.unit : via.kind === 'pm2' ? via.name : via.kind === 'docker' ? via.container : null;
  if (name !== null && !isPlainName(name)) return `"${name}" is not a plain name`;
  if (via.kind === 'systemd' && NEVER_UNITS.test(via.unit)) return `${via.unit} is never restarted by selfheal`;
  return null;
}

function directoryOf(step: RestartStep, context: EffectContext): string {
  return context.services.facts(step.service)?.directory ?? '/';
}

async function restartSupervised(step: RestartStep, before: Before, context: EffectContext): Promise<string> {
  const { clock, services, signal } = context;
  await context.askSupervisor('start-service', step.service);
  const deadline = clock.monotonic() + SUPERVISED_MS;
  for (;;) {
    const state = await services.state(step.service);
    if (isAnew(before, state)) return `${step.service} ${state.evidence}`;
    if (signal.aborted || clock.monotonic() > deadline)
      throw new EffectError('timeout', `the supervisor has not started ${step.service} anew: ${state.evidence}`);
    await clock.sleep(POLL_MS, signal);
  }
}

async function command(argv: readonly string[], cwd: string, context: EffectContext): Promise<string> {
  const result = await context.run(argv, { cwd, timeoutMs: RESTART_MS, leash: 'none', signal: context.signal });
  const said = `${result.stderr.trim()}\n${result.stdout.trim()}`.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
  const name = argv.join(' ');
  if (result.failure !== null) throw new EffectError('failed', `${name}: ${result.failure}`);
  if (result.timedOut) throw new EffectError('timeout', `${name} did not end within ${RESTART_MS / 1000} s`);
  if (result.code !== 0) throw new EffectError('failed', `${name} ended with ${result.code ?? result.signal}: ${said}`);
  return `${name}${said ? `: ${said}` : ''}`;
}
