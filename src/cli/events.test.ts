import pc from 'picocolors';
import { describe, expect, it } from 'vitest';
import { advance, type IncidentEvent } from '../core/incident.ts';
import { happeningLine, Happenings } from './events.ts';
import { sampleIncident } from '../testing/samples.ts';
import { Passage } from './passage.ts';

const NOW = Date.UTC(2026, 0, 5, 10, 0, 0);

const fresh = sampleIncident({
  id: '4',
  type: 'config_error',
  state: { name: 'open', notBefore: NOW },
  message: 'settings.json is\nnot JSON',
  firstSeen: NOW,
  lastSeen: NOW,
});

function told(events: readonly IncidentEvent[], flags = ''): string[] {
  const happenings = new Happenings({ flags, now: () => NOW });
  const lines: string[] = [];
  const look = { colors: pc.createColors(false), now: NOW };
  let incident = fresh;
  const tell = (): void => {
    const happening = happenings.of(incident);
    if (happening) lines.push(happeningLine(incident, happening, look).replace(/^[\d:]+ /, ''));
  };
  tell();
  for (const event of events) {
    incident = advance(incident, event) ?? expect.fail(`${event.kind} is not possible`);
    tell();
  }
  return lines;
}

const seen: IncidentEvent = {
  kind: 'seen',
  at: NOW + 5_000,
  times: 3,
  severity: 'high',
  facts: {},
  trusted: true,
  sample: null,
  symptom: null,
};
const starts: IncidentEvent = {
  kind: 'plan-starts',
  plan: '1',
  fix: 'f',
  owner: 'o',
  leaseUntil: NOW,
  reason: 'restore it',
};
const proven = {
  kind: 'fixed' as const,
  reason: 'restore it: proven',
  evidence: [
    { check: 'all keys', passed: true as const, text: '' },
    { check: 'all keys', passed: true as const, text: '' },
    { check: 'agent is healthy', passed: 'unknown' as const, text: '' },
  ],
  at: NOW,
  plan: '1',
};

describe('what is told while the monitor runs', () => {
  it('a repair is told in four lines, with its proof and its way back', () => {
    const quiet: IncidentEvent = {
      kind: 'steps-done',
      since: NOW,
      quietUntil: NOW + 30_000,
      reason: 'done and checked',
    };
    expect(told([starts, quiet, { kind: 'finished', outcome: proven, retryAt: null }], ' --state /s')).toEqual([
      'selfheal: #4 seen       config_error in agent: settings.json is not JSON',
      'selfheal: #4 healing    restore it',
      'selfheal: #4 checked    done and checked',
      'selfheal: #4 fixed      restore it: proven (✓ all keys)  undo: selfheal rollback 4 --state /s',
    ]);
  });

  it('a repair that has no way back is told without one', () => {
    const outcome = { ...proven, hasWayBack: false as const };
    expect(told([starts, { kind: 'finished', outcome, retryAt: null }]).slice(2)).toEqual([
      'selfheal: #4 fixed      restore it: proven (✓ all keys)',
    ]);
  });

  it('repeats are not told, and neither is the same reason twice', () => {
    const waits: IncidentEvent = { kind: 'postponed', until: NOW + 60_000, reason: 'the service is starting' };
    expect(told([seen, seen, waits, seen, waits])).toEqual([
      'selfheal: #4 seen       config_error in agent: settings.json is not JSON',
      'selfheal: #4 waits      the service is starting',
    ]);
  });

  it('what did not help says when it is tried again, and what comes back is told', () => {
    const failed = { ...proven, kind: 'rolled-back' as const, reason: 'the check failed', evidence: [] };
    const over: IncidentEvent = {
      kind: 'cleared',
      at: NOW,
      by: 'itself',
      reason: 'it stayed away',
      cause: null,
      outcome: null,
    };
    expect(told([starts, { kind: 'finished', outcome: failed, retryAt: NOW + 60_000 }, over, seen]).slice(2)).toEqual([
      'selfheal: #4 no help    the check failed; next try in 60 s',
      'selfheal: #4 over       it stayed away',
      'selfheal: #4 again      config_error in agent: settings.json is not JSON',
    ]);
  });

  it('who is asked or needed reads what to type', () => {
    const asks: IncidentEvent = { kind: 'plan-asks', plan: '1', fix: 'f', until: NOW, reason: 'sync-git asks first' };
    expect(told([asks, { kind: 'denied', at: NOW, by: 'cli:mo' }]).slice(1)).toEqual([
      'selfheal: #4 asks       may I? sync-git asks first  selfheal plan 4 · selfheal approve 4 · selfheal deny 4',
      'selfheal: #4 needs you  denied by mo at the terminal  selfheal incident 4 · selfheal plan 4',
    ]);
  });
});

describe('output on its way to a reader', () => {
  it('is passed on as it is, and our lines stand on lines of their own', () => {
    const { outlet, text } = anOutlet();
    const passage = new Passage(outlet, () => 'lost');
    passage.write(Buffer.from('no end of line'));
    passage.line('selfheal: a');
    passage.write(Buffer.from('\u001b[31mred\n'));
    passage.line('selfheal: b');
    expect(text()).toBe('no end of line\nselfheal: a\n\u001b[31mred\nselfheal: b\n');
  });

  it('is left out while nobody reads, and how much is said afterwards', () => {
    const { outlet, text } = anOutlet();
    const passage = new Passage(outlet, (bytes) => `${bytes} bytes were left out`);
    outlet.writableLength = 2 ** 21;
    passage.write(Buffer.from('abc\n'));
    passage.line('12345');
    outlet.writableLength = 0;
    passage.write(Buffer.from('again\n'));
    expect(text()).toBe('9 bytes were left out\nagain\n');
  });
});

function anOutlet() {
  const parts: string[] = [];
  const outlet = { writableLength: 0, write: (part: Uint8Array | string) => parts.push(Buffer.from(part).toString()) };
  return { outlet, text: () => parts.join('') };
}
