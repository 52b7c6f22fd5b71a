// The look at an upstream that is left alone: whatever becomes of it, the next one is possible.

import { describe, expect, it } from 'vitest';
import { Breakers } from './breaker.ts';
import type { Verdict } from './contract.ts';

const TARGET = { upstream: 'primary', key: 'k', model: 'm' };
const limitedUntil = (until: number): Verdict => ({
  ...{ kind: 'limited', status: 429, code: 'rate_limit_error', message: 'slow down' },
  until,
});

describe('a look at an upstream that was limited', () => {
  it('ends although an older request fails while it is under way: the next look is possible', () => {
    const breakers = new Breakers(() => 0);
    const old = breakers.ask(TARGET, 0) as { readonly ticket: number };
    const first = breakers.ask(TARGET, 0) as { readonly ticket: number };
    breakers.failed(TARGET, limitedUntil(100), 0, first.ticket);
    const look = breakers.ask(TARGET, 100) as { readonly kind: string; readonly ticket: number };
    expect(look.kind).toBe('probe');
    breakers.failed(TARGET, limitedUntil(150), 120, old.ticket);
    expect(breakers.succeeded(TARGET, look.ticket)).toBeNull();
    expect(breakers.ask(TARGET, 149).kind).toBe('wait');
    expect(breakers.ask(TARGET, 150).kind).toBe('probe');
  });
});
