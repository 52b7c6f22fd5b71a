// How soon after the stated reset agents are back on their provider, and what it costs: measured in real time, printed.

import { expect, it } from 'vitest';
import { openGatewayRig } from '../testing/gateway-rig.ts';
import { askStreaming } from '../testing/model-clients.ts';
import type { FakeBehaviour } from '../testing/model-server.ts';

const ROUNDS = 40;
const WAIT_MS = 400;
const AGENTS = 4;

it.each([
  ['are answered elsewhere meanwhile', 0],
  ['are waiting for it', 20_000],
])('agents that %s are back soon after the stated reset', async (_, pauseMs) => {
  const began = performance.now();
  /** When each limit was stated; the reset is `WAIT_MS` later. */
  const limits: number[] = [];
  const lateMs: number[] = [];
  let [isLimited, early, errors, answers] = [false, 0, 0, 0];
  const behave = (): FakeBehaviour => {
    const at = performance.now() - began;
    const reset = (limits.at(-1) ?? -WAIT_MS) + WAIT_MS;
    if (isLimited) {
      limits.push(at);
      isLimited = false;
      return { kind: 'error', status: 429, type: 'rate_limit_error', headers: { 'retry-after-ms': String(WAIT_MS) } };
    }
    if (at < reset) early += 1;
    else if (lateMs.length < limits.length) lateMs.push(at - reset);
    return { kind: 'answer' };
  };
  const rig = await openGatewayRig({ primary: { behave }, spec: { pauseMs, stateDirectory: null } });
  try {
    const ask = async (): Promise<void> => {
      const got = await askStreaming('messages', rig.url).catch(() => null);
      if (got === null || got.text === '') errors += 1;
      answers += 1;
    };
    for (let round = 1; round <= ROUNDS; round++) {
      const agent = async (): Promise<void> => {
        while (lateMs.length < round) await ask();
      };
      // One of them runs into the limit; while it lasts all of them ask on and on.
      isLimited = true;
      const first = ask();
      while (isLimited || rig.gateway.status().upstreams[0]?.open.length === 0)
        await new Promise((resolve) => setImmediate(resolve));
      await Promise.all([first, ...Array.from({ length: AGENTS }, agent)]);
    }
  } finally {
    await rig.close();
  }
  lateMs.sort((a, b) => a - b);
  const at = (share: number): string =>
    `${lateMs[Math.min(lateMs.length - 1, Math.floor(lateMs.length * share))]?.toFixed(1)} ms`;
  console.log(
    `${AGENTS} agents, pause ${pauseMs / 1000} s: back ${at(0.5)} after the reset (median), ${at(0.99)} at most, over ${lateMs.length} resets; ` +
      `${early} requests while limited, ${errors} errors in ${answers} answers`,
  );
  expect({ early, errors, resets: lateMs.length }).toEqual({ early: 0, errors: 0, resets: ROUNDS });
});
