// A real gateway for drills, with a provider that refuses and, where wanted, a local model that answers.

import type { GatewayReport, ModelRoute } from '../core/gateway.ts';
import { VALUE_KEYS, type Store } from '../store/contract.ts';
import type { KitGateway } from './drill-kit.ts';
import { openGatewayRig } from './gateway-rig.ts';

export type KitValues = Pick<Store, 'value' | 'setValue' | 'swapValue'>;

/** Values of a host in memory; `changed` is called after each change. */
export function memoryValues(changed: (key: string) => void = () => {}): KitValues {
  const values = new Map<string, string>();
  const text = (value: unknown): string | undefined =>
    value === null || value === undefined ? undefined : JSON.stringify(value);
  const put = (key: string, value: unknown): void => {
    const next = text(value);
    if (next === undefined) values.delete(key);
    else values.set(key, next);
    changed(key);
  };
  const value = async <T>(key: string): Promise<T | null> => {
    const found = values.get(key);
    return found === undefined ? null : (JSON.parse(found) as T);
  };
  return {
    value,
    setValue: async (key, next) => put(key, next),
    swapValue: async (key, expected, next) => {
      if (values.get(key) !== text(expected)) return false;
      put(key, next);
      return true;
    },
  };
}

/** Opens it, lets one request fail so that the gateway knows, and stores its report. Returns what closes it, and what takes routes in. */
export async function makeGateway(
  values: KitValues,
  wanted: KitGateway,
): Promise<{ close: () => Promise<void>; route: () => Promise<void> }> {
  const { status, retryAfterSec } = wanted.primary;
  const rig = await openGatewayRig({
    primary: {
      behave: () => ({
        kind: 'error',
        status,
        type: 'rate_limit_error',
        ...(retryAfterSec !== null && { headers: { 'retry-after': String(retryAfterSec) } }),
      }),
    },
    ...(wanted.local === 'none' && { local: null }),
  });
  await fetch(`${rig.url}/v1/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'drill', 'anthropic-version': '2023-06-01' },
    body: JSON.stringify({ model: 'claude-test', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }),
  }).then((response) => response.text());
  await values.setValue(VALUE_KEYS.gateway, { at: Date.now(), ...rig.gateway.status() } satisfies GatewayReport);
  const route = async (): Promise<void> =>
    rig.gateway.setRoutes((await values.value<readonly ModelRoute[]>(VALUE_KEYS.routes)) ?? []);
  return { close: () => rig.close(), route };
}
