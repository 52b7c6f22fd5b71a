// Decisions of a person: approve, deny, roll back, silence, pause, resume. Each is stored with who took it.

import { parseDuration } from '../config/values.ts';
import { oneLine } from '../core/visible.ts';
import type { ActionAnswer, Operations } from '../operations.ts';
import { pullLines } from '../chat/render.ts';
import { answer } from './answer.ts';
import { ask, type CliContext, type CommonOptions, EXIT, type Exit, UsageError } from './context.ts';

/** How long an incident is silenced unless `--for` says otherwise. */
export const SILENCE_DEFAULT = '2h';

type Wish = (operations: Operations) => Promise<ActionAnswer>;

function act(context: CliContext, options: CommonOptions, wish: Wish): Promise<Exit> {
  return ask(context, options, async (operations) => {
    const done = await wish(operations);
    await answer(context, options, done, ({ ok, message }, { colors }) => [
      `${ok ? colors.green('✓') : colors.red('✗')} ${oneLine(message, 1000)}`,
    ]);
    return done.ok ? EXIT.ok : EXIT.badNews;
  });
}

export function decide(
  context: CliContext,
  verb: 'approve' | 'deny',
  id: string,
  options: CommonOptions & { readonly hash?: string },
): Promise<Exit> {
  return act(context, options, async (operations) => {
    const hash = options.hash === undefined ? undefined : await wholeHash(operations, id, options.hash);
    return operations[verb](id, context.person, hash);
  });
}

/** People type the first characters; the decision is about the whole. */
async function wholeHash(operations: Operations, id: string, start: string): Promise<string> {
  if (!/^[0-9a-f]{6,64}$/.test(start))
    throw new UsageError('--hash: expected at least six characters of the plan’s hash');
  const plan = (await operations.incident(id))?.plan;
  return plan?.hash.startsWith(start) ? plan.hash : start;
}

export function rollback(context: CliContext, id: string, options: CommonOptions): Promise<Exit> {
  return act(context, options, (operations) => operations.rollback(id, context.person, context.signal));
}

export function silence(
  context: CliContext,
  id: string,
  options: CommonOptions & { readonly for?: string },
): Promise<Exit> {
  const forMs = durationOf(options.for ?? SILENCE_DEFAULT);
  return act(context, options, async (operations) => {
    const done = await operations.silence(id, forMs, context.person);
    const hint =
      done.ok && options.for === undefined ? ` (for ${SILENCE_DEFAULT}; --for 30m or 1d says otherwise)` : '';
    return { ...done, message: `${done.message}${hint}` };
  });
}

export function pause(
  context: CliContext,
  reason: string,
  options: CommonOptions & { readonly for?: string },
): Promise<Exit> {
  const forMs = options.for === undefined ? undefined : durationOf(options.for);
  return ask(context, options, async (operations, config) => {
    const done = await operations.pause(context.person, reason, forMs);
    await tellOf(context, options, { ...done, state: config.state });
    return done.ok ? EXIT.ok : EXIT.badNews;
  });
}

/** A pause covers one state folder: which one is said, for another daemon may use another one. */
function tellOf(context: CliContext, options: CommonOptions, done: ActionAnswer & { readonly state: string }) {
  return answer(context, options, done, ({ ok, message, state }, { colors }) => [
    `${ok ? colors.green('✓') : colors.red('✗')} ${oneLine(message, 1000)}`,
    colors.dim(`  state folder ${state}`),
  ]);
}

function durationOf(text: string): number {
  const ms = parseDuration(text);
  if (ms === null || ms === 0) throw new UsageError(`--for: expected a duration such as 2h, found "${text}"`);
  return ms;
}

export function resolve(context: CliContext, id: string, options: CommonOptions): Promise<Exit> {
  return act(context, options, (operations) => operations.resolve(id, context.person));
}

export function merge(context: CliContext, id: string, into: string, options: CommonOptions): Promise<Exit> {
  return act(context, options, (operations) => operations.merge(id, into, context.person));
}

export function split(
  context: CliContext,
  id: string,
  options: CommonOptions & { readonly by?: string },
): Promise<Exit> {
  return act(context, options, (operations) => operations.split(id, options.by ?? null, context.person));
}

export function ungroup(context: CliContext, id: string, options: CommonOptions): Promise<Exit> {
  return act(context, options, (operations) => operations.ungroup(id, context.person));
}

export function resume(context: CliContext, options: CommonOptions): Promise<Exit> {
  return ask(context, options, async (operations, config) => {
    const done = await operations.resume(context.person);
    await tellOf(context, options, { ...done, state: config.state });
    return done.ok ? EXIT.ok : EXIT.badNews;
  });
}

/** A stop is deliberate: nothing starts the service again but a person. */
export function control(
  context: CliContext,
  verb: 'start' | 'stop',
  service: string,
  options: CommonOptions,
): Promise<Exit> {
  return act(context, options, (operations) => operations.control(service, verb, context.person));
}

export function pull(context: CliContext, service: string | undefined, options: CommonOptions): Promise<Exit> {
  return ask(context, options, async (operations) => {
    const done = await operations.pullLatest(context.person, service);
    await answer(context, options, done, pullLines);
    return done.every(({ ok }) => ok) ? EXIT.ok : EXIT.badNews;
  });
}
