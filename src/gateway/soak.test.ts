import { expect, it } from 'vitest';
import { soak, SOAK_BEHAVIOURS } from '../testing/gateway-soak.ts';

it.each(['messages', 'chat', 'responses'] as const)(
  'no stream in %s is lost, cut short, repeated or left with half a tool call, whatever the provider does',
  async (dialect) => {
    const tally = await soak({ dialect, streams: 12 });
    expect(tally).toMatchObject({ lost: 0, truncated: 0, duplicated: 0, halfTools: 0, example: '' });
    expect(tally.firstMs).toHaveLength(12 * SOAK_BEHAVIOURS.length);
  },
);
