import { expect, it } from 'vitest';
import { soak, SOAK_BEHAVIOURS } from '../testing/gateway-soak.ts';

const HARMLESS = { lost: 0, truncated: 0, duplicated: 0, halfTools: 0, example: '' };
const SLOW = ['stall', 'silence'] as const;
const QUICK = SOAK_BEHAVIOURS.filter((behaviour) => behaviour !== 'stall' && behaviour !== 'silence');

it.each(['messages', 'chat', 'responses'] as const)(
  'no stream in %s is lost, cut short, repeated or left with half a tool call, whatever the provider does',
  async (dialect) => {
    expect(await soak({ dialect, streams: 15, behaviours: QUICK, deadlineMs: 30_000 })).toMatchObject(HARMLESS);
    expect(await soak({ dialect, streams: 4, behaviours: SLOW, deadlineMs: 1_500 })).toMatchObject(HARMLESS);
  },
);
