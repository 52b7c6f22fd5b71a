// Answers as plain lines: read well on a phone and in a terminal. Data in, text out; untrusted text is made
// visible and cut, never interpreted.

import type {
  ActionAnswer,
  ErrorsAnswer,
  FixAnswer,
  HealthAnswer,
  IncidentDetail,
  PlanAnswer,
  ReportAnswer,
  ServiceHealth,
  StatusAnswer,
  WhyAnswer,
} from '../answers.ts';
import type { ModelQuota } from '../core/gateway.ts';
import type { IncidentRow, IncidentStateName } from '../core/incident.ts';
import type { Step } from '../core/plan.ts';
import { SEVERITIES, type Severity } from '../core/words.ts';
import { oneLine, visible } from '../core/visible.ts';
import { commandLine, STATE_WORDS, undoText, withNames } from '../core/wording.ts';
import type { LedgerRow } from '../store/contract.ts';
import type { Operations } from '../operations.ts';
import { GRAMMAR } from './grammar.ts';

const SEVERITY_ICONS: Readonly<Record<Severity, string>> = { critical: '🚨', high: '⚠️', medium: '🔸', low: '▫️' };
const STATE_ICONS: Readonly<Record<IncidentStateName, string>> = {
  open: '👀',
  'awaiting-approval': '❓',
  healing: '🔧',
  verifying: '🔧',
  resolved: '✅',
  'needs-human': '🆘',
  silenced: '🔕',
};
const MESSAGE_CAP = 100;
const ROWS = 15;

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
function verdictLines({ healthy, watching, blind }: HealthAnswer): readonly string[] {
  if (healthy) return ['✅ All is well.'];
  if (!watching) return ['⚠️ selfheal is not running: nothing is watched now. Start it with: selfheal watch'];
  return [...blind.map((source) => `🙈 Cannot read ${oneLine(source, 160)}`), '❌ Not healthy.'];
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
    daemon.lastCycleAt ? `Last cycle: ${ago(daemon.lastCycleAt, now)} ago` : null,
    `Auto-fix: ${answer.autoFix ? 'on' : 'off'}`,
    paused
      ? `⏸ Paused by ${said(paused.by, 60)} (${ago(paused.at, now)} ago)${paused.reason ? `: ${oneLine(paused.reason, 120)}` : ''}`
      : null,
    breaker.open ? `🧯 Breaker open: ${oneLine(breaker.reason, 160)}. "resume" closes it.` : null,
    `Incidents: ${countsText(answer.incidents)}`,
    outbox.pending + outbox.failed > 0 ? `Messages: ${outbox.pending} waiting, ${outbox.failed} refused` : null,
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

export function incidentLines(detail: IncidentDetail, now: number): readonly string[] {
  const { incident, plan, timeline } = detail;
  const facts = Object.entries(incident.facts).map(([name, value]) => `• ${name}: ${oneLine(String(value), 120)}`);
  return [
    `${STATE_ICONS[incident.state]} Incident #${incident.id}: ${oneLine(incident.service, 60)}, ${incident.type}`,
    `State: ${STATE_WORDS[incident.state]}${incident.reason ? ` (${said(incident.reason, 200)})` : ''}`,
    `Severity: ${incident.severity}`,
    seenText(incident, now),
    ...(incident.attempts > 0 ? [`Attempts: ${incident.attempts}${incident.fix ? ` (${incident.fix})` : ''}`] : []),
    ...section('Facts the log claims:', facts),
    ...(plan ? section(`Plan: ${oneLine(plan.title, 160)}`, plan.steps.map(stepLine)) : []),
    ...(incident.outcome
      ? section(
          `Outcome: ${incident.outcome.kind} (${oneLine(incident.outcome.reason, 160)})`,
          incident.outcome.evidence
            .slice(0, 8)
            .map((e) => `${MARKS[String(e.passed)] ?? '?'} ${oneLine(e.check, 80)}: ${oneLine(e.text, 120)}`),
        )
      : []),
    ...section(
      'Story:',
      timeline
        .slice(-8)
        .map((entry) => `${timeText(entry.at)} ${entry.kind.replaceAll('-', ' ')}: ${said(entry.text, 120)}`),
    ),
    ...section(
      'Next:',
      detail.next.map((command) => command.replace(/^selfheal /, '').replace(' --for ', ' ')),
    ),
  ];
}

/** The dry run: exact steps, the way back of each, and what would prove it. */
export function planLines({ incident, plan, reason, considered }: PlanAnswer): readonly string[] {
  const head = `📐 Plan for #${incident.id}: ${oneLine(incident.service, 60)}, ${incident.type}`;
  const asked = section(
    'Asked:',
    considered.slice(0, 10).map(({ fix, said }) => `• ${fix}: ${oneLine(said, 160)}`),
  );
  if (!plan) return [head, `No plan: ${oneLine(reason, 300)}`, ...asked];
  return [
    head,
    `What: ${oneLine(plan.title, 200)}`,
    `Why: ${oneLine(plan.why, 600)}`,
    `Verdict: ${plan.decision.verdict} (${oneLine(plan.decision.reason, 200)})`,
    ...section(
      'Steps:',
      plan.steps.flatMap((step, index) => stepLinesOf(step, index)),
    ),
    ...section(
      'Must hold afterwards:',
      plan.checks.map((check) => `• ${oneLine(check.title, 120)}`),
    ),
    '',
    `Risk: ${plan.risk}; restart: ${plan.restart}`,
    `Valid until ${timeText(plan.expiresAt)}, plan ${plan.hash.slice(0, 12)}`,
    ...asked,
  ];
}

export function historyLines({ rows, summary }: Awaited<ReturnType<Operations['history']>>): readonly string[] {
  if (rows.length === 0) return ['Nothing was done yet.'];
  return ['🗂 Fix history', ...summaryLines(summary), '', ...rows.slice(0, ROWS).map(ledgerLine)];
}

export function whyLines(answer: WhyAnswer): readonly string[] {
  const { detection, fingerprint } = answer;
  return [
    detection ? `🔎 ${detection.type} (${detection.severity}) by rule ${detection.rule}` : '🔎 Not an error to me',
    `Because: ${oneLine(answer.because, 300)}`,
    ...(fingerprint
      ? [`Fingerprint ${fingerprint.place.slice(0, 16)}`, `Template: ${oneLine(fingerprint.template, 200)}`]
      : []),
    ...section(
      'Nearly:',
      answer.nearMisses.slice(0, 6).map((miss) => `• ${miss.rule}: ${oneLine(miss.because, 160)}`),
    ),
    ...section(
      'Masked:',
      answer.masks.slice(0, 8).map((mask) => `• ${oneLine(mask.from, 60)} → ${oneLine(mask.to, 30)}`),
    ),
    ...(answer.incident ? ['', `Incident #${answer.incident.id} (${STATE_WORDS[answer.incident.state]})`] : []),
  ];
}

/** The samples as they stand in the log, for quoting. */
export function logsText(detail: IncidentDetail): string {
  return detail.samples
    .map((sample) => visible(`${timeText(sample.at)} ${sample.source} line ${sample.line}\n${sample.text.trim()}`))
    .join('\n\n');
}

export function actionLine(answer: ActionAnswer): string {
  return doneLine(answer, capital);
}

function doneLine(answer: ActionAnswer, styled: (words: string) => string): string {
  const message = styled(said(forPeople(answer.message), 300));
  const incident = answer.incident && !/\bincident \d/i.test(message) ? `#${answer.incident.id} · ` : '';
  return `${answer.ok ? '✅' : '❌'} ${incident}${message}`;
}

/** The same for a pop-up, which has no room for more. */
export function doneText({ ok, message }: ActionAnswer): string {
  return `${ok ? '✅' : '❌'} ${capital(forPeople(message))}`;
}

/** Operations speak to a terminal: times in ISO form, commands with the program's name. */
function forPeople(message: string): string {
  const times = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
  const told = message.replace(times, (iso) => timeText(Date.parse(iso))).replaceAll('`selfheal ', '`');
  return withNames(told).replaceAll('`', '"');
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

// ---------------------------------------------------------------- parts

function section(title: string, lines: readonly string[]): readonly string[] {
  if (lines.length === 0) return [];
  return title ? ['', title, ...lines] : ['', ...lines];
}

function severityLines(by: HealthAnswer['bySeverity']): readonly string[] {
  return SEVERITIES.filter((severity) => by[severity] > 0).map(
    (severity) => `${SEVERITY_ICONS[severity]} ${capital(severity)}: ${by[severity]}`,
  );
}

function recentLine(row: IncidentRow): string {
  const good = row.state === 'resolved' || (row.state !== 'needs-human' && row.fix !== null);
  return `${good ? '✅' : '❌'} ${row.type}: ${oneLine(row.message, MESSAGE_CAP)}`;
}

function rowLines(rows: readonly IncidentRow[]): readonly string[] {
  const shown = rows
    .slice(0, ROWS)
    .map(
      (row) =>
        `${STATE_ICONS[row.state]} #${row.id} ${oneLine(row.service, 40)} ${row.type}${row.count > 1 ? ` ×${row.count}` : ''}: ${oneLine(row.message, MESSAGE_CAP)}`,
    );
  return rows.length > ROWS ? [...shown, `and ${rows.length - ROWS} more`] : shown;
}

function serviceLine(service: ServiceHealth): string {
  const icon =
    service.running === false || service.health.passed === false ? '🔴' : service.running === true ? '🟢' : '⚪';
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
  const { totalFixesAttempted: tried, successful, failed, inconclusive } = summary;
  if (tried === 0) return ['none'];
  return [
    `Attempted: ${tried}`,
    `Successful: ${successful}${successful > 0 ? ' ✅' : ''}`,
    `Failed: ${failed}${failed > 0 ? ' ❌' : ''}`,
    ...(inconclusive > 0 ? [`Unclear: ${inconclusive}`] : []),
    `Success rate: ${Math.round(summary.successRate * 100)} %`,
  ];
}

function ledgerLine(row: LedgerRow): string {
  const icon = row.outcome.kind === 'fixed' ? '✅' : row.outcome.kind === 'not-applicable' ? '▫️' : '❌';
  return `${icon} ${timeText(row.outcome.at)} #${row.incident} ${row.fix}: ${row.outcome.kind} (${oneLine(row.outcome.reason, 100)})`;
}

function seenText({ count, firstSeen, lastSeen }: IncidentRow, now: number): string {
  if (count <= 1) return `Seen once, ${ago(firstSeen, now)} ago`;
  return `Seen ${count}×, first ${ago(firstSeen, now)} ago, last ${ago(lastSeen, now)} ago`;
}

/** A value inside our own words: one line, cut, with people named. */
function said(text: string, limit: number): string {
  return oneLine(withNames(text), limit);
}

const MARKS: Readonly<Record<string, string>> = { true: '✓', false: '✗', unknown: '?' };

function stepLine(step: Step, index: number): string {
  return `${index + 1}. ${oneLine(step.title, 160)}`;
}

function stepLinesOf(step: Step, index: number): readonly string[] {
  // Exact, however long: this is what is read before a decision.
  const command = step.kind === 'run' ? [`   $ ${commandLine(step.argv)}`] : [];
  return [stepLine(step, index), ...command, `   undo: ${undoText(step)}`];
}

function countsText(incidents: StatusAnswer['incidents']): string {
  const counts = Object.entries(incidents).filter(([, count]) => count > 0);
  const word = (state: string) => STATE_WORDS[state as IncidentStateName] ?? state;
  return counts.length === 0 ? 'none open' : counts.map(([state, count]) => `${count} ${word(state)}`).join(', ');
}

/** `2026-11-23 14:05 UTC`: an answer may be read in any place. */
function timeText(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function ago(iso: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1000));
  if (seconds < 120) return `${seconds} s`;
  return minutesText(Math.round(seconds / 60));
}

function minutesText(minutes: number): string {
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
