// A model provider cannot answer for a while: its traffic goes to another upstream of the gateway until it can. No
// restart, and it ends by itself. Agents that do not go through the gateway are none of this fix's business.

import type { GatewayReport, ModelUpstream } from '../core/gateway.ts';
import { type Diagnosis, defineFix, type FixContext, notApplicable, propose } from './contract.ts';

/** A route shorter than this is not worth its plan: the gateway waits or fails over by itself. */
const SHORTEST_MS = 15_000;
/** A limit that is said to last longer is looked at again after a day. */
const LONGEST_MS = 86_400_000;
/** What makes a provider unable to answer; a broken connection is retried by the gateway itself. */
const REASONS: ReadonlySet<string> = new Set([
  'limited',
  'overloaded',
  'exhausted',
  'auth',
  'server',
  'timeout',
  'transport',
]);

export default defineFix({
  name: 'fallback-model',
  family: 'fallback-model',
  title: 'Let another model answer until the provider can',
  handles: ['rate_limit', 'provider_overloaded', 'quota_exhausted'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'auto',
  order: 20,
  diagnose,
  drills: [
    {
      given: 'the provider limits us for ten minutes, and a local model answers',
      world: (kit) => kit.gateway({ primary: { status: 429, retryAfterSec: 600 }, local: 'answers' }),
      facts: { status: 429, retryAfterSec: 600 },
      type: 'rate_limit',
      expect: ['route-model'],
    },
    {
      given: 'the provider’s quota is spent, and a local model answers',
      world: (kit) => kit.gateway({ primary: { status: 402, retryAfterSec: null }, local: 'answers' }),
      facts: { status: 402 },
      type: 'quota_exhausted',
      expect: ['route-model'],
    },
    {
      given: 'the provider limits us, and nobody else is configured',
      world: (kit) => kit.gateway({ primary: { status: 429, retryAfterSec: 600 }, local: 'none' }),
      facts: { status: 429, retryAfterSec: 600 },
      type: 'rate_limit',
      expect: 'not-applicable',
    },
    {
      given: 'the provider limits us, and no gateway runs',
      world: (kit) => kit.write('agent.py', ''),
      facts: { status: 429, retryAfterSec: 600 },
      type: 'rate_limit',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ probe, incident }: FixContext): Promise<Diagnosis> {
  const report = await probe.gateway();
  if (report === null) return notApplicable('no model gateway runs here');
  const now = probe.clock.now();
  const closed = report.upstreams.filter((upstream) => !upstream.fallback && closedUntil(upstream, now) > now);
  // Of several that cannot answer the report names the one that it is about.
  const from = closed.find(({ name }) => incident.message.includes(` ${name} `)) ?? closed[0];
  if (!from) return notApplicable('the gateway’s providers answer by now');
  const to = report.upstreams.find(
    (upstream) => upstream !== from && closedUntil(upstream, now) <= now && canAnswer(upstream, from),
  );
  if (!to) return notApplicable(`nobody else is there to answer for ${from.name}`);
  const until = Math.min(closedUntil(from, now), now + LONGEST_MS);
  if (until - now < SHORTEST_MS) return notApplicable(`${from.name} is asked again within seconds`);
  return proposal({ report, from, to, until, why: reasonOf(from, now) });
}

/** Another vendor, or a fallback, does not know the model that the agent names. */
const canAnswer = ({ fallback, kind, model }: ModelUpstream, from: ModelUpstream): boolean =>
  model !== null || (!fallback && kind === from.kind);

/** When everything that keeps it from answering is over; 0 when nothing does. */
function closedUntil({ open }: ModelUpstream, now: number): number {
  return Math.max(0, ...open.filter((o) => REASONS.has(o.kind) && o.until > now).map((o) => o.until));
}

function reasonOf({ open }: ModelUpstream, now: number): string {
  const last = open.filter((o) => o.until > now).sort((a, b) => b.until - a.until)[0];
  return last ? `${last.kind}, ${last.message}` : 'it does not answer';
}

interface Found {
  readonly report: GatewayReport;
  readonly from: ModelUpstream;
  readonly to: ModelUpstream;
  readonly until: number;
  readonly why: string;
}

function proposal({ report, from, to, until, why }: Found): Diagnosis {
  const clock = `${new Date(until).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  const model = to.model ?? to.name;
  const query = new URLSearchParams({ from: from.name, to: to.name }).toString();
  return propose({
    title: `let ${model} (${to.name}) answer for ${from.name} until ${clock}`,
    why: `The gateway’s upstream ${from.name} cannot answer until ${clock}: ${why}. ${to.name} is there.`,
    facts: {},
    steps: [
      {
        kind: 'route-model',
        title: `route ${from.name} to ${to.name} until ${clock}`,
        from: from.name,
        to: to.name,
        until,
        undo: { kind: 'restore-snapshot' },
      },
    ],
    checks: [
      {
        kind: 'http',
        title: `${to.name} answers for ${from.name}`,
        proves: 'operation',
        failsBefore: true,
        url: `${report.url}/-/route?${query}`,
        status: [200],
      },
    ],
    resources: [`gateway:${from.name}`],
    needsRestart: false,
  });
}
