// Sends model traffic of the gateway to another upstream until a time. The route is a stored value: the gateway reads
// it, and it ends by itself.

import type { ModelRoute } from '../../core/gateway.ts';
import type { RouteModelStep } from '../../core/plan.ts';
import { VALUE_KEYS } from '../../store/contract.ts';
import { type Effect, type EffectContext, EffectError } from '../contract.ts';

/** A limit that lasts longer is looked at again by then. */
const LONGEST_MS = 32 * 86_400_000;
const TRIES = 20;

export const routeModel: Effect<RouteModelStep> = {
  kind: 'route-model',

  async snapshot(step, context) {
    const now = context.clock.now();
    if (step.from === step.to) throw new EffectError('refused', `${step.from} cannot stand in for itself`);
    if (step.until - now > LONGEST_MS)
      throw new EffectError('refused', 'so long a route must be set in the configuration');
    if (step.until <= now) throw new EffectError('precondition', 'the time of the route is over');
    const other = live(await stored(context), now).find((route) => route.from === step.from);
    if (other) throw new EffectError('precondition', `${step.from} is routed to ${other.to} already`);
    return {};
  },

  async apply(step, _snapshot, context) {
    const { from, to, until } = step;
    const own: ModelRoute = { from, to, until, plan: context.plan };
    await change(context, (routes) => {
      const others = live(routes, context.clock.now()).filter((route) => !isOwn(route, step, context));
      if (others.some((route) => route.from === from))
        throw new EffectError('precondition', `${from} was routed elsewhere meanwhile`);
      return [...others, own];
    });
    return `${from} → ${to} until ${new Date(until).toISOString()}`;
  },

  async probe(step, _snapshot, context) {
    return (await stored(context)).some((route) => isOwn(route, step, context)) ? 'done' : 'not-done';
  },

  async undo(step, _snapshot, context) {
    await change(context, (routes) => routes.filter((route) => !isOwn(route, step, context)));
  },

  async differences(step, _snapshot, context) {
    const left = (await stored(context)).filter((route) => isOwn(route, step, context));
    return left.map((route) => `${route.from} is routed to ${route.to}`);
  },
};

function isOwn(route: ModelRoute, step: RouteModelStep, { plan }: EffectContext): boolean {
  return route.plan === plan && route.from === step.from && route.to === step.to;
}

const live = (routes: readonly ModelRoute[], now: number): readonly ModelRoute[] => routes.filter((r) => r.until > now);

async function stored({ values }: EffectContext): Promise<readonly ModelRoute[]> {
  return (await values.value<readonly ModelRoute[]>(VALUE_KEYS.routes)) ?? [];
}

/** Compare and swap: another plan may change its own route at the same moment. */
async function change(
  context: EffectContext,
  next: (routes: readonly ModelRoute[]) => readonly ModelRoute[],
): Promise<void> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const before = await context.values.value<readonly ModelRoute[]>(VALUE_KEYS.routes);
    const after = next(before ?? []);
    if (await context.values.swapValue(VALUE_KEYS.routes, before, after.length === 0 ? null : after)) return;
  }
  throw new EffectError('failed', 'the routes were changed by others all the time');
}
