// Tables and long texts for a terminal; short answers read as they do in the chat. All that came out of a
// log goes through `oneLine` or `quote`.

import type { IncidentDetail, PlanAnswer } from '../answers.ts';
import type { IncidentRow } from '../core/incident.ts';
import type { Check, Plan, Step } from '../core/plan.ts';
import { oneLine } from '../core/visible.ts';
import { undoText } from '../core/wording.ts';
import type { LedgerRow } from '../store/contract.ts';
import { type Colors, count, paintSeverity, quote, span, table } from './output.ts';

export interface Look {
  readonly colors: Colors;
  readonly width: number;
  /** Epoch milliseconds: ages are counted from here. */
  readonly now: number;
}

export function incidentTable(rows: readonly IncidentRow[], { colors, width, now }: Look): string[] {
  if (rows.length === 0) return [];
  const head = ['ID', 'STATE', 'SEVERITY', 'TYPE', 'SERVICE', 'TIMES', 'LAST', 'MESSAGE'].map((t) => colors.dim(t));
  return table(
    [
      head,
      ...rows.map((row) => [
        row.id,
        paintState(row, colors),
        paintSeverity(row.severity, colors),
        row.type,
        oneLine(row.service, 24),
        `${row.count} ×`,
        `${span(now - Date.parse(row.lastSeen))} ago`,
        oneLine(row.message, 400),
      ]),
    ],
    width,
  );
}

function paintState(row: IncidentRow, colors: Colors): string {
  switch (row.state) {
    case 'resolved':
      return colors.green('resolved');
    case 'needs-human':
    case 'awaiting-approval':
      return colors.yellow(row.state);
    case 'healing':
    case 'verifying':
      return colors.cyan(row.state);
    case 'open':
    case 'silenced':
      return row.state;
  }
}

export function ledgerTable(rows: readonly LedgerRow[], { colors, width, now }: Look): string[] {
  const head = ['WHEN', 'INCIDENT', 'SERVICE', 'FIX', 'OUTCOME', 'REASON'].map((title) => colors.dim(title));
  return table(
    [
      head,
      ...rows.map((row) => [
        `${span(now - row.outcome.at)} ago`,
        row.incident,
        oneLine(row.service, 24),
        row.fix,
        row.outcome.kind === 'fixed'
          ? colors.green('fixed')
          : colors.yellow(row.outcome.undoneBy ? 'taken back' : row.outcome.kind),
        oneLine(row.outcome.reason, 400),
      ]),
    ],
    width,
  );
}

export function incidentText(detail: IncidentDetail, look: Look): string[] {
  const { colors, now } = look;
  const { incident, plan } = detail;
  const section = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ['', colors.bold(title), ...lines];
  const sample = detail.samples.at(-1);
  return [
    `${colors.bold(`Incident ${incident.id}`)}  ${paintState(incident, colors)}  ${paintSeverity(incident.severity, colors)}  ${incident.type} in ${incident.service}`,
    oneLine(incident.message, 500),
    colors.dim(
      `${incident.count} ×, first ${incident.firstSeen}, last ${incident.lastSeen}, ${count(incident.attempts, 'attempt')}`,
    ),
    ...(incident.reason ? [`Why: ${oneLine(incident.reason, 500)}`] : []),
    ...section(
      'Facts (claims of the log)',
      Object.entries(incident.facts).map(([name, value]) => `  ${name}: ${oneLine(String(value), 300)}`),
    ),
    ...section(
      sample
        ? `Evidence  ${colors.dim(`${oneLine(sample.source, 300)}:${sample.line}-${sample.endLine}`)}`
        : 'Evidence',
      sample ? [quote(sample.text)] : [],
    ),
    ...(plan ? section('Plan', planLines(plan, look)) : []),
    ...section(
      'Outcome',
      incident.outcome
        ? [
            `  ${incident.outcome.kind === 'fixed' ? colors.green('fixed') : colors.yellow(incident.outcome.kind)}: ${oneLine(incident.outcome.reason, 400)}`,
            ...incident.outcome.evidence.map(
              (e) => `  ${mark(e.passed, colors)} ${oneLine(e.check, 200)}: ${oneLine(e.text, 300)}`,
            ),
          ]
        : [],
    ),
    ...section(
      'Timeline',
      detail.timeline.map(
        (entry) => `  ${colors.dim(`${span(now - entry.at)} ago`.padEnd(11))} ${oneLine(entry.text, 300)}`,
      ),
    ),
    ...section(
      'Next',
      detail.next.map((command) => `  ${command}`),
    ),
  ];
}

function mark(result: true | false | 'unknown', colors: Colors): string {
  if (result === 'unknown') return colors.yellow('?');
  return result ? colors.green('✓') : colors.red('✗');
}

function planLines(plan: Plan, { colors, now }: Look): string[] {
  const left = plan.expiresAt - now;
  return [
    `  ${oneLine(plan.title, 300)}`,
    `  ${oneLine(plan.why, 600)}`,
    ...plan.steps.map((step, index) => `  ${index + 1}. ${oneLine(step.title, 300)}  ${colors.dim(undoOf(step))}`),
    ...plan.checks.map((check) => `  ${colors.dim('proof')} ${oneLine(check.title, 300)}${colors.dim(proofOf(check))}`),
    `  ${colors.dim(`fix ${plan.fix}, risk ${plan.risk}, restart ${plan.restart}, quiet for ${span(plan.settleMs)}`)}`,
    `  ${verdictOf(plan, colors)}`,
    `  ${colors.dim(`hash ${plan.hash.slice(0, 12)}, ${left > 0 ? `expires in ${span(left)}` : 'expired'}`)}`,
  ];
}

function verdictOf({ decision }: Plan, colors: Colors): string {
  const words = { run: colors.green('may run'), ask: colors.yellow('asks first'), refuse: colors.red('refused') };
  return `${words[decision.verdict]} (${decision.autonomy}): ${oneLine(decision.reason, 300)}`;
}

function undoOf(step: Step): string {
  if (step.undo.kind === 'none') return `no undo: ${oneLine(step.undo.reason, 200)}`;
  return `undo: ${oneLine(undoText(step), 200)}`;
}

function proofOf(check: Check): string {
  return `${check.proves === 'operation' ? '' : ' (neighbour)'}${check.failsBefore ? ', must fail before' : ''}`;
}

export function planText(answer: PlanAnswer, look: Look): string[] {
  const { colors } = look;
  return [
    `${colors.bold(`Incident ${answer.incident.id}`)}  ${answer.incident.type} in ${answer.incident.service}`,
    oneLine(answer.incident.message, 500),
    '',
    ...(answer.plan ? planLines(answer.plan, look) : [`No plan: ${oneLine(answer.reason, 500)}`]),
    ...(answer.considered.length > 0
      ? ['', colors.bold('Considered'), ...answer.considered.map((c) => `  ${c.fix}: ${oneLine(c.said, 300)}`)]
      : []),
    ...(answer.plan?.decision.verdict === 'ask'
      ? [
          '',
          `selfheal approve ${answer.incident.id} --hash ${answer.plan.hash.slice(0, 12)}`,
          `selfheal deny ${answer.incident.id}`,
        ]
      : []),
  ];
}
