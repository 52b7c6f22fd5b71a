// Tells one healed fault as a story of a few lines: what broke, what was seen, what was found and
// done, how it was proven, how to undo it, how long it took. Everything comes from the store.

import type { IncidentDetail } from '../answers.ts';
import type { Evidence } from '../core/outcome.ts';
import type { Plan } from '../core/plan.ts';
import { oneLine } from '../core/visible.ts';

/** Paints text; `plain` leaves it as it is. */
export interface Paint {
  readonly dim: (text: string) => string;
  readonly bold: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly accent: (text: string) => string;
}

const same = (text: string) => text;
export const plain: Paint = { dim: same, bold: same, good: same, bad: same, accent: same };

export interface Scene {
  readonly number: number;
  readonly agent: string;
  readonly title: string;
  /** What was done to the agent, as a sentence. */
  readonly broke: string;
  readonly brokeAt: number;
  /** Folder of the agent: paths below it are told without it. */
  readonly directory: string;
  /** What it came to, as the agent itself has it. */
  readonly verdict: { readonly ok: boolean; readonly said: string } | null;
}

const WIDTH = 96;

/** The story of one scene, lines without a newline at the end. */
export function tell(scene: Scene, detail: IncidentDetail | null, paint: Paint): readonly string[] {
  const line = (at: number | null, word: string, text: string) => {
    const clock = at === null ? '        ' : `${((at - scene.brokeAt) / 1000).toFixed(1).padStart(6)} s`;
    return `  ${paint.dim(clock)}  ${paint.accent(word.padEnd(7))} ${text}`;
  };
  const short = (text: string) => oneLine(text.replaceAll(`${scene.directory}/`, ''), WIDTH);
  const head = paint.bold(`${String(scene.number).padStart(2)} · ${scene.agent} · ${scene.title}`);
  const broke = line(scene.brokeAt, 'broke', scene.broke);
  if (!detail) return [head, broke, line(null, 'seen', paint.bad('nothing was noticed')), ''];
  const { incident, plan, timeline, samples } = detail;
  const acted = timeline.find((t) => t.kind === 'plan-starts');
  const proven = timeline.find((t) => t.kind === 'steps-done');
  const sample = samples[0];
  const lines = [head, broke];
  lines.push(line(Date.parse(incident.firstSeen), 'seen', `${incident.type}: ${short(incident.message)}`));
  if (sample)
    lines.push(line(null, '', paint.dim(`${short(sample.source)}, lines ${sample.line} to ${sample.endLine}`)));
  if (plan) lines.push(line(acted?.at ?? null, 'found', short(plan.why)));
  for (const step of plan?.steps ?? []) lines.push(line(acted?.at ?? null, 'did', short(step.title)));
  for (const one of evidenceOf(detail))
    lines.push(line(proven?.at ?? null, 'checked', `${mark(one, paint)} ${short(one.check)}`));
  const end = incident.outcome;
  if (scene.verdict)
    lines.push(line(null, 'came to', `${mark({ passed: scene.verdict.ok }, paint)} ${short(scene.verdict.said)}`));
  const word = end?.kind === 'fixed' ? paint.good('fixed') : paint.bad(end?.kind ?? incident.state);
  lines.push(line(end ? Date.parse(end.at) : null, 'end', `${word} ${paint.dim(short(incident.reason))}`));
  if (plan) lines.push(line(null, 'undo', paint.dim(wayBack(plan, incident.id))));
  return [...lines, ''];
}

function wayBack({ steps }: Plan, incident: string): string {
  const [first] = steps.map(({ undo }) => undo);
  const hasOne = steps.some(({ undo }) => undo.kind !== 'none');
  return hasOne || first?.kind !== 'none' ? `selfheal rollback ${incident}` : `none: ${oneLine(first.reason, 100)}`;
}

/** Milliseconds from the fault to its proven end; null while there is none. */
export function healedAfterMs(brokeAt: number, detail: IncidentDetail | null): number | null {
  const end = detail?.incident.outcome;
  return end?.kind === 'fixed' ? Date.parse(end.at) - brokeAt : null;
}

function evidenceOf(detail: IncidentDetail): readonly Evidence[] {
  return detail.incident.outcome?.evidence.filter((e) => e.check !== '') ?? [];
}

function mark(evidence: Pick<Evidence, 'passed'>, paint: Paint): string {
  if (evidence.passed === true) return paint.good('✓');
  return evidence.passed === false ? paint.bad('✗') : paint.dim('?');
}
