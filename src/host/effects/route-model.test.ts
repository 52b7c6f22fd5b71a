import { expect, it } from 'vitest';
import type { ModelRoute } from '../../core/gateway.ts';
import type { RouteModelStep } from '../../core/plan.ts';
import { VALUE_KEYS } from '../../store/contract.ts';
import { benchFor } from '../../testing/effect-bench.ts';
import { memoryValues } from '../../testing/kit-gateway.ts';
import { createScratch } from '../../testing/scratch.ts';
import { createRun } from '../run.ts';
import { routeModel } from './route-model.ts';

const until = Date.now() + 3_600_000;
const step: RouteModelStep = {
  kind: 'route-model',
  title: 't',
  undo: { kind: 'restore-snapshot' },
  from: 'a',
  to: 'b',
  until,
};

const place = (values = memoryValues(), plan = '1-1', changed: Partial<RouteModelStep> = {}) => {
  const scratch = createScratch();
  const bench = benchFor(
    routeModel,
    { ...step, ...changed },
    { run: createRun({ home: '/' }), state: scratch.path('state'), values, plan },
  );
  return { bench, values, close: () => scratch.close() };
};
const routes = (values: ReturnType<typeof memoryValues>) => values.value<readonly ModelRoute[]>(VALUE_KEYS.routes);

it('a route is set, looked at and taken back, twice as well as once', async () => {
  const { bench, values, close } = place();
  await bench.snapshot();
  expect(await bench.probe()).toBe('not-done');
  await bench.apply();
  await bench.apply();
  expect(await bench.probe()).toBe('done');
  expect(await routes(values)).toEqual([{ from: 'a', to: 'b', until, plan: '1-1' }]);
  expect(await bench.differences()).toEqual(['a is routed to b']);
  await bench.undo();
  await bench.undo();
  expect(await bench.differences()).toEqual([]);
  expect(await routes(values)).toBeNull();
  await close();
});

it('the routes of other plans are left alone, and one upstream has one route', async () => {
  const values = memoryValues();
  const other = { from: 'c', to: 'b', until, plan: '7-1' };
  await values.setValue(VALUE_KEYS.routes, [other, { from: 'd', to: 'b', until: 1, plan: '6-1' }]);
  const { bench, close } = place(values);
  await bench.snapshot();
  await bench.apply();
  expect((await routes(values))?.map((route) => route.from)).toEqual(['c', 'a']);
  const rival = place(values, '2-1');
  await expect(rival.bench.snapshot()).rejects.toMatchObject({ code: 'precondition' });
  await bench.undo();
  expect(await routes(values)).toEqual([other]);
  await close();
  await rival.close();
});

it('a route to itself, into the past, or for ever is refused', async () => {
  for (const changed of [{ to: 'a' }, { until: 5 }, { until: until * 2 }]) {
    const { bench, close } = place(memoryValues(), '1-1', changed);
    await expect(bench.snapshot()).rejects.toThrow();
    await close();
  }
});
