// One incident in plain lines: what it is, what would be done about it, why it was recognised, and the lines it was seen
// in.

import type { IncidentDetail, PlanAnswer, WhyAnswer } from '../answers.ts';
import type { IncidentRow } from '../core/incident.ts';
import type { Step } from '../core/plan.ts';
import { oneLine, visible } from '../core/visible.ts';
import { commandLine, STATE_WORDS, undoText } from '../core/wording.ts';
import { ago, said, section, STATE_ICONS, timeText } from './render-parts.ts';

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
    ...section('', nextLine(detail.next)),
  ];
}

/** What one would send next, as one line: a phone is short. */
function nextLine(commands: readonly string[]): readonly string[] {
  const words = commands.map((command) => command.replace(/^selfheal /, '').replace(' --for ', ' '));
  return words.length === 0 ? [] : [`Next: ${words.join(' · ')}`];
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

export function whyLines(answer: WhyAnswer): readonly string[] {
  const { detection, fingerprint } = answer;
  return [
    detection ? `🔎 ${detection.type} (${detection.severity}) by rule ${detection.rule}` : '🔎 Not an error to me',
    `Because: ${oneLine(answer.because, 300)}`,
    ...(detection ? [`Said: ${oneLine(detection.message, 200)}`] : []),
    ...(fingerprint
      ? [`Fingerprint ${fingerprint.place.slice(0, 16)}`, ...templateLines(fingerprint.template, detection?.message)]
      : []),
    ...section('Caught:', Object.entries(detection?.facts ?? {}).map(factLine)),
    ...section(
      'Nearly:',
      answer.nearMisses.slice(0, 6).map((miss) => `• ${miss.rule}: ${oneLine(miss.because, 160)}`),
    ),
    ...section('Masked:', answer.masks.slice(0, 8).map(maskLine)),
    ...(answer.incident ? ['', `Incident #${answer.incident.id} (${STATE_WORDS[answer.incident.state]})`] : []),
  ];
}

/** Without the quote or bracket that both sides begin with. */
function maskLine({ from, to }: WhyAnswer['masks'][number]): string {
  const skip = from[0] === to[0] && /^[^<\w]/.test(to) ? 1 : 0;
  return `• ${oneLine(from.slice(skip), 60)} → ${oneLine(to.slice(skip) || 'nothing', 30)}`;
}

function templateLines(template: string, said: string | undefined): readonly string[] {
  return template === said ? [] : [`Template: ${oneLine(template, 200)}`];
}

/** A fact is a claim of the text: it says where to look, and nothing is done on its word alone. */
function factLine([name, value]: readonly [string, string | number]): string {
  return `• ${name}: ${oneLine(String(value), 120)}`;
}

/** The samples as they stand in the log, for quoting. */
export function logsText(detail: IncidentDetail): string {
  return detail.samples
    .map((sample) => visible(`${timeText(sample.at)} ${sample.source} line ${sample.line}\n${sample.text.trim()}`))
    .join('\n\n');
}

function seenText({ count, firstSeen, lastSeen }: IncidentRow, now: number): string {
  if (count <= 1) return `Seen once, ${ago(firstSeen, now)} ago`;
  return `Seen ${count}×, first ${ago(firstSeen, now)} ago, last ${ago(lastSeen, now)} ago`;
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
