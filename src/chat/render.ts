// Answers as plain lines: read well on a phone and in a terminal. Data in, text out; untrusted text is made
// visible and cut, never interpreted.

import type {
  ActionAnswer,
  ErrorsAnswer,
  FixAnswer,
  HealthAnswer,
  ReportAnswer,
  ServiceHealth,
  StatusAnswer,
} from '../answers.ts';
import type { ModelQuota } from '../core/gateway.ts';
import type { IncidentRow, IncidentStateName } from '../core/incident.ts';
import { SEVERITIES } from '../core/words.ts';
import { oneLine } from '../core/visible.ts';
import { STATE_WORDS } from '../core/wording.ts';
import type { LedgerRow } from '../store/contract.ts';
import type { Operations } from '../operations.ts';
import { GRAMMAR } from './grammar.ts';
import {
  ago,
  capital,
  doneLine,
  MESSAGE_CAP,
  minutesText,
  ROWS,
  rowLines,
  said,
  section,
  SEVERITY_ICONS,
  span,
  STATE_ICONS,
  timeText,
} from './render-parts.ts';

/** The specification's answer to `health check`, and the services. */
export function healthLines(answer: HealthAnswer): readonly string[] {
  return [
    '🩺 Health Check Results',
    `Errors (last ${answer.minutes}min): ${answer.errors}`,
    `Auto-fixable: ${answer.autoFixable}`,
    ...section('By Severity:', severityLines(answer.bySeverity)),
    ...section('Recent Errors:', answer.recent.map(recentLine)),
    ...section('Services:', answer.services.map(serviceLine)),
    '',
    ...verdictLines(answer),
  ];
}

/** Nobody who does not look may say that all is well. */
function verdictLines({ healthy, watching, blind, silenced, services }: HealthAnswer): readonly string[] {
  const quiet = silenced > 0 ? ` ${silenced} silenced.` : '';
  if (healthy) return [`✅ All is well.${quiet}`];
  if (!watching) return ['⚠️ selfheal is not running: nothing is watched now. Start it with: selfheal watch'];
  const open = services.reduce((sum, { openIncidents }) => sum + openIncidents, 0);
  return [
    ...blind.map((source) => `🙈 Cannot read ${oneLine(source, 160)}`),
    `❌ Not healthy${open > 0 ? `: ${open} open, send "incidents"` : ''}.${quiet}`,
  ];
}

/** The specification's answer to `show errors`. */
export function errorsLines(answer: ErrorsAnswer): readonly string[] {
  const types = Object.entries(answer.byType).sort(([, a], [, b]) => b - a);
  return [
    `📊 Error Report (${answer.minutes === 60 ? 'Last Hour' : `Last ${minutesText(answer.minutes)}`})`,
    `Total Errors: ${answer.total}`,
    `Auto-fixable: ${answer.autoFixable}`,
    ...section(
      'By Type:',
      types.map(([type, count]) => `• ${type}: ${count}`),
    ),
    ...section('Incidents:', rowLines(answer.incidents)),
  ];
}

export function reportLines({ errors, fixes, open, history }: ReportAnswer): readonly string[] {
  return [
    ...errorsLines({ ...errors, incidents: [] }),
    ...section('Fixes so far:', summaryLines(fixes)),
    ...section('Open:', rowLines(open)),
    ...section('Last fixes:', history.slice(0, 5).map(ledgerLine)),
  ];
}

/** The specification's answer to `fix errors`; success is claimed only when nothing failed. */
export function fixLines(answer: FixAnswer): readonly string[] {
  if (answer.attempted === 0 && answer.asking === 0 && answer.results.length === 0)
    return ['🔧 Auto-Fix', 'Nothing to fix.'];
  return [
    '🔧 Auto-Fix Complete',
    `Attempted: ${answer.attempted}`,
    `Successful: ${answer.successful}${answer.successful > 0 ? ' ✅' : ''}`,
    `Failed: ${answer.failed}${answer.failed > 0 ? ' ❌' : ''}`,
    ...(answer.asking > 0 ? [`Waiting for you: ${answer.asking} ❓`] : []),
    ...section(
      '',
      answer.results
        .slice(0, ROWS)
        .map(
          ({ incident, said }) =>
            `${STATE_ICONS[incident.state]} #${incident.id} ${incident.type}: ${oneLine(said, 160)}`,
        ),
    ),
    ...(answer.attempted > 0 && answer.failed === 0 && answer.asking === 0 && answer.successful === answer.attempted
      ? ['', '✅ All fixes applied successfully!']
      : []),
    ...answer.restartRecommended.map((service) => `🔄 Restart recommended: ${oneLine(service, 60)}`),
  ];
}

export function pullLines(answers: readonly ActionAnswer[]): readonly string[] {
  if (answers.length === 0) return ['⬇️ Pull latest from git', 'No service has a repository to pull.'];
  return ['⬇️ Pull latest from git', ...answers.map((answer) => doneLine(answer, (words) => words))];
}

export function statusLines(answer: StatusAnswer, now: number): readonly string[] {
  const { daemon, paused, breaker, outbox } = answer;
  const since = daemon.since ? `, up ${ago(daemon.since, now)}` : '';
  return [
    daemon.running ? `💓 selfheal runs (pid ${daemon.pid ?? '?'}${since})` : '💤 selfheal is not running',
    daemon.lastCycleAt ? `Last cycle: ${ago(daemon.lastCycleAt, now)} ago${nextText(daemon.nextCycleAt, now)}` : null,
    `Auto-fix: ${answer.autoFix ? 'on' : 'off'}`,
    paused
      ? `⏸ Paused by ${said(paused.by, 60)} (${ago(paused.at, now)} ago)${paused.until ? ` until ${timeText(Date.parse(paused.until))}` : ''}${paused.reason ? `: ${oneLine(paused.reason, 120)}` : ''}`
      : null,
    breaker.open ? `🧯 Breaker open: ${oneLine(breaker.reason, 160)}. "resume" closes it.` : null,
    `Incidents: ${countsText(answer.incidents)}`,
    outbox.pending + outbox.failed > 0
      ? `Messages: ${outbox.pending} waiting${outbox.failed > 0 ? `, ${outbox.failed} refused` : ''}`
      : null,
    ...section('Services:', answer.services.map(serviceLine)),
    ...section('Models:', modelLines(answer, now)),
    ...section(
      'Sources:',
      answer.sources.map((source) => sourceLine(source, now)),
    ),
  ].filter((line): line is string => line !== null);
}

export function incidentsLines(rows: readonly IncidentRow[], all: boolean): readonly string[] {
  if (rows.length === 0) return [all ? 'No incidents yet.' : '✅ Nothing is open.'];
  return [`${all ? 'All' : 'Open'} incidents: ${rows.length}`, '', ...rowLines(rows)];
}

export function historyLines({ rows, summary }: Awaited<ReturnType<Operations['history']>>): readonly string[] {
  if (rows.length === 0) return ['Nothing was done yet.'];
  return ['🗂 Fix history', ...summaryLines(summary), '', ...rows.slice(0, ROWS).map(ledgerLine)];
}

export function helpLines(): readonly string[] {
  return [
    '🩺 What I understand:',
    '',
    ...GRAMMAR.map(({ usage, does }) => `${usage} — ${does}`),
    '',
    'Case, spelling and word order do not matter much.',
  ];
}

function severityLines(by: HealthAnswer['bySeverity']): readonly string[] {
  return SEVERITIES.filter((severity) => by[severity] > 0).map(
    (severity) => `${SEVERITY_ICONS[severity]} ${capital(severity)}: ${by[severity]}`,
  );
}

function recentLine(row: IncidentRow): string {
  return `${STATE_ICONS[row.state]} ${row.type}: ${oneLine(row.message, MESSAGE_CAP)}`;
}

function serviceLine(service: ServiceHealth): string {
  const ill = service.running === false || service.health.passed === false;
  const well = service.openIncidents > 0 ? '🟡' : service.running === true ? '🟢' : '⚪';
  const icon = ill ? '🔴' : well;
  const running = service.running === 'unknown' ? 'state unknown' : service.running ? 'running' : 'not running';
  const health = service.health.passed === 'unknown' ? '' : `, probe ${service.health.passed ? 'passes' : 'fails'}`;
  const open = service.openIncidents > 0 ? `, ${service.openIncidents} open` : '';
  return `${icon} ${oneLine(service.name, 60)}: ${running}${health}${open}`;
}

function modelLines({ gateway, routes }: StatusAnswer, now: number): readonly string[] {
  if (gateway === null) return [];
  const { requests, failovers, spliced, lost } = gateway;
  return [
    `${requests} requests, ${failovers} answered by another model, ${spliced} continued in the middle, ${lost} lost`,
    ...gateway.upstreams.map(({ name, model, open, answered, quotas }) => {
      const until = Math.max(0, ...open.map((o) => o.until));
      const closed = until > now ? `, waits until ${timeText(until)}: ${oneLine(open[0]?.message ?? '', 100)}` : '';
      return `${closed ? '🔴' : '🟢'} ${oneLine(name, 40)}${model ? ` (${oneLine(model, 40)})` : ''}: ${answered} answered${closed}${closed ? '' : quotaText(quotas, now)}`;
    }),
    ...routes.map(({ from, to, until }) => `🔀 ${oneLine(from, 40)} → ${oneLine(to, 40)} until ${timeText(until)}`),
  ];
}

/** The quota that ends first, or of which least is left. */
function quotaText(quotas: readonly ModelQuota[], now: number): string {
  const [first] = [...quotas].sort(
    (a, b) => (a.exhaustedAt ?? Infinity) - (b.exhaustedAt ?? Infinity) || b.used - a.used,
  );
  if (!first) return '';
  const used = `, ${Math.round(first.used * 100)} % of its ${oneLine(first.dimension, 30)} used`;
  if (first.exhaustedAt === null) return used;
  return `${used}, exhausted in about ${Math.max(1, Math.round((first.exhaustedAt - now) / 60_000))} min`;
}

function sourceLine(source: StatusAnswer['sources'][number], now: number): string {
  if (source.blindSince)
    return `🙈 ${oneLine(source.id, 120)}: blind for ${ago(source.blindSince, now)} (${oneLine(source.reason, 120)})`;
  return `👁 ${oneLine(source.id, 120)}${source.lagBytes > 0 ? `, ${source.lagBytes} bytes behind` : ''}`;
}

function summaryLines(summary: ReportAnswer['fixes']): readonly string[] {
  const { totalFixesAttempted: tried, successful, failed, inconclusive, takenBack } = summary;
  if (tried === 0) return ['none'];
  return [
    `Attempted: ${tried}`,
    `Successful: ${successful}${successful > 0 ? ' ✅' : ''}`,
    `Failed: ${failed}${failed > 0 ? ' ❌' : ''}`,
    ...(inconclusive > 0 ? [`Unclear: ${inconclusive}`] : []),
    ...(takenBack > 0 ? [`Taken back by you: ${takenBack} ↩️`] : []),
    ...(tried > takenBack ? [`Success rate: ${Math.round(summary.successRate * 100)} %`] : []),
  ];
}

function ledgerLine({ outcome, incident, fix }: LedgerRow): string {
  return `${outcomeIcon(outcome)} ${timeText(outcome.at)} #${incident} ${fix}: ${outcome.kind} (${said(outcome.reason, 100)})`;
}

function outcomeIcon({ kind, undoneBy }: LedgerRow['outcome']): string {
  if (kind === 'rolled-back' && undoneBy !== undefined) return '↩️';
  return kind === 'fixed' ? '✅' : kind === 'not-applicable' ? '▫️' : '❌';
}

function nextText(next: string | null, now: number): string {
  if (next === null) return '';
  const left = Date.parse(next) - now;
  return left > 0 ? `, next in ${span(left)}` : ', next is due';
}

function countsText(incidents: StatusAnswer['incidents']): string {
  const counts = Object.entries(incidents).filter(([, count]) => count > 0);
  const word = (state: string) => STATE_WORDS[state as IncidentStateName] ?? state;
  return counts.length === 0 ? 'none open' : counts.map(([state, count]) => `${count} ${word(state)}`).join(', ');
}
