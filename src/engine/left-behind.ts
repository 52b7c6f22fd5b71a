// What a plan has left on the machine, as its journal tells it. *hands* judges by the machine; this is for choosing whom
// to ask.

import type { Plan } from '../core/plan.ts';
import type { JournalEntry, Store } from '../store/contract.ts';

/** Epoch milliseconds when the last step was done; null when none was. */
export function lastStepDoneAt(journal: readonly JournalEntry[]): number | null {
  return journal.findLast((entry) => entry.phase === 'done')?.at ?? null;
}

/** True when the last checks found what had failed working again, and another problem in the way of the service. */
export function isBeside(journal: readonly JournalEntry[]): boolean {
  const last = journal.findLast(({ phase, data }) => phase === 'checked' && data['when'] !== 'before');
  return last?.data['verdict'] === 'beside';
}

/** True when a step that has a way back may have changed something that was not put back. */
export function hasSomethingLeft(plan: Plan, journal: readonly JournalEntry[]): boolean {
  return plan.steps.some((step, index) => {
    if (step.undo.kind === 'none') return false;
    const last = journal.findLast((entry) => entry.step === index && entry.phase !== 'checked');
    if (last === undefined || last.phase === 'snapshot' || last.phase === 'undone') return false;
    return last.phase !== 'failed' || last.data['touched'] !== false;
  });
}

/**
 * The plan that a rollback of this incident means: the newest that has left something; else the newest that was begun
 * at all, for *hands* to say that nothing of it can be taken back. Null when none was ever begun.
 */
export async function planToTakeBack(store: Store, incident: string): Promise<Plan | null> {
  const newestFirst = [...(await store.plansOf(incident))].sort((a, b) => b.createdAt - a.createdAt);
  let begun: Plan | null = null;
  for (const plan of newestFirst) {
    const journal = await store.journal(plan.id);
    if (hasSomethingLeft(plan, journal)) return plan;
    if (journal.length > 0) begun ??= plan;
  }
  return begun;
}
