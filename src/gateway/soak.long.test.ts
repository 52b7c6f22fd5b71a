// The whole soak: STREAMS (default 10,000) for each of nine quick behaviours, and a hundredth of it for the two
// that cost a deadline each.

import { expect, it } from 'vitest';
import { soak, SOAK_BEHAVIOURS } from '../testing/gateway-soak.ts';

const STREAMS = Number(process.env.STREAMS ?? 10_000);
const SLOW = ['stall', 'silence'] as const;
const QUICK = SOAK_BEHAVIOURS.filter((behaviour) => behaviour !== 'stall' && behaviour !== 'silence');

// Hours on a busy machine: its speed is not what is judged.
const PATIENCE_MS = 4 * 3_600_000;

it.each(['messages', 'chat'] as const)(
  'no stream of very many in %s is harmed',
  { timeout: PATIENCE_MS },
  async (dialect) => {
    const quick = await soak({ dialect, streams: STREAMS, behaviours: QUICK, deadlineMs: 30_000 });
    const slow = await soak({
      dialect,
      streams: Math.ceil(STREAMS / 100),
      behaviours: SLOW,
      deadlineMs: 3_000,
      agents: 16,
    });
    const at = (share: number): string => `${quick.firstMs[Math.floor(quick.firstMs.length * share)]?.toFixed(1)} ms`;
    console.log(`${dialect}: ${quick.streams + slow.streams} streams; first content p50 ${at(0.5)}, p99 ${at(0.99)}`);
    const { lost, truncated, duplicated, halfTools } = quick;
    console.log({ lost, truncated, duplicated, halfTools });
    const harmless = { lost: 0, truncated: 0, duplicated: 0, halfTools: 0, example: '' };
    for (const tally of [quick, slow]) expect(tally).toMatchObject(harmless);
  },
);
