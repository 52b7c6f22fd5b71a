// A person's word on the grouping: two problems are one, one is several, and back again. It is stored, outlives
// restarts, and holds for what is seen from now on; nothing that was counted is counted anew.

import type { ActionAnswer, Person } from '../answers.ts';
import { incidentRow, type Incident, type IncidentEvent } from '../core/incident.ts';
import { isSplitFrom, type Split, SPLIT_BY, type SplitBy } from '../engine/grouping.ts';
import { VALUE_KEYS } from '../store/contract.ts';
import type { OperationsDeps } from './deps.ts';

type GroupingDeps = Pick<OperationsDeps, 'store' | 'clock' | 'explain'>;
type Change = (id: string, event: IncidentEvent) => Promise<Incident | null>;

/** Facts that change from one report of a problem to the next: nothing to tell problems apart by unless asked for. */
const FLEETING = new Set<string>(['pid', 'sourceLine', 'retryAfterSec', 'message']);

export class Grouping {
  readonly #d: GroupingDeps;
  readonly #change: Change;

  constructor(deps: GroupingDeps, change: Change) {
    this.#d = deps;
    this.#change = change;
  }

  async merge(id: string, into: string, by: Person): Promise<ActionAnswer> {
    const { store } = this.#d;
    const [one, other] = [await store.incident(id), await store.incident(into)];
    if (!one || !other) return none(one ? into : id);
    const refusal = refusalOf(one, other);
    if (refusal) return no(refusal, one);
    const { service, fingerprint } = one;
    // What had been merged into it goes along, and the other one is itself again.
    await store.unmergeFingerprint(service, other.fingerprint.place);
    for (const merge of await store.merges()) {
      if (merge.incident === id) await store.mergeFingerprint(merge.service, merge.place, into);
    }
    await store.mergeFingerprint(service, fingerprint.place, into);
    await this.#close(id, `merged into incident ${into} by ${by}`);
    await this.#note(into, 'merged', `incident ${id} was merged into this one by ${by}`);
    return yes(
      `what is seen of incident ${id} counts for incident ${into} from now on; \`ungroup ${id}\` undoes it`,
      other,
    );
  }

  async split(id: string, name: string | null, by: Person): Promise<ActionAnswer> {
    const incident = await this.#d.store.incident(id);
    if (!incident) return none(id);
    const known = SPLIT_BY.find((one) => one.toLowerCase() === name?.toLowerCase());
    if (name !== null && !known)
      return no(`nothing is told apart by "${name}"; known: ${SPLIT_BY.join(', ')}`, incident);
    const differing = known ? [known] : await this.#differing(incident);
    const [fact] = differing;
    if (!fact || differing.length > 1) return no(`by what are they different? ${hintOf(id, differing)}`, incident);
    const { service, fingerprint } = incident;
    const keeps = (fact === 'message' ? incident.message : incident.facts[fact]) ?? null;
    const { place, version } = fingerprint;
    const split: Split = { service, place, version, by: fact, keeps, person: by, at: this.#d.clock.now() };
    await this.#splits((splits) => [...splits.filter((other) => !isOf(other, incident)), split]);
    await this.#note(id, 'split', `split by ${fact} by ${by}`);
    const stays = keeps === null ? '' : `; "${String(keeps).slice(0, 60)}" stays with incident ${id}`;
    return yes(
      `records of incident ${id} that differ in ${fact} are problems of their own from now on${stays}; \`ungroup ${id}\` undoes it`,
      incident,
    );
  }

  /** Takes back what a person said of this incident: its merge, its split, or the merges into it. */
  async ungroup(id: string, by: Person): Promise<ActionAnswer> {
    const { store } = this.#d;
    const incident = await store.incident(id);
    if (!incident) return none(id);
    const { service, fingerprint } = incident;
    if (await store.unmergeFingerprint(service, fingerprint.place)) {
      await this.#note(id, 'ungrouped', `made a problem of its own again by ${by}`);
      return yes(`incident ${id} is a problem of its own again; it opens when it is seen again`, incident);
    }
    if (await this.#unsplit(incident, by)) return yes(`incident ${id} is one problem again`, incident);
    const merged = (await store.merges()).filter((merge) => merge.incident === id);
    for (const merge of merged) await store.unmergeFingerprint(merge.service, merge.place);
    if (merged.length === 0) return no(`nobody has merged or split incident ${id}`, incident);
    await this.#note(id, 'ungrouped', `what was merged into it is apart again, by ${by}`);
    return yes(`${merged.length} that were merged into incident ${id} are problems of their own again`, incident);
  }

  async #unsplit(incident: Incident, by: Person): Promise<boolean> {
    let isSplit = false;
    await this.#splits((splits) => {
      isSplit = splits.some((split) => isOf(split, incident));
      return splits.filter((split) => !isOf(split, incident));
    });
    if (!isSplit) return false;
    await this.#note(incident.id, 'ungrouped', `made one problem again by ${by}`);
    for (const { id, fingerprint } of await this.#d.store.incidents({ service: incident.service }))
      if (isSplitFrom(incident.fingerprint.place, fingerprint.place))
        await this.#close(id, `counted with incident ${incident.id} again, by ${by}`);
    return true;
  }

  async #splits(change: (splits: readonly Split[]) => readonly Split[]): Promise<void> {
    const { store } = this.#d;
    for (;;) {
      const before = await store.value<readonly Split[]>(VALUE_KEYS.splits);
      if (await store.swapValue(VALUE_KEYS.splits, before, change(before ?? []))) return;
    }
  }

  /** The facts in which the kept samples differ. */
  async #differing({ samples }: Incident): Promise<readonly SplitBy[]> {
    const told = await Promise.all(samples.map(({ text }) => this.#d.explain(text)));
    const facts = told.flatMap(({ detection }) => (detection ? [detection.facts] : []));
    const values = (name: SplitBy): number =>
      name === 'message' ? 0 : new Set(facts.map((one) => one[name]).filter((value) => value !== undefined)).size;
    return SPLIT_BY.filter((name) => !FLEETING.has(name) && values(name) > 1);
  }

  async #close(id: string, reason: string): Promise<void> {
    const at = this.#d.clock.now();
    await this.#change(id, { kind: 'cleared', at, by: 'person', reason, cause: null, outcome: null });
  }

  #note(incident: string, kind: string, text: string): Promise<void> {
    return this.#d.store.addTimeline({ incident, at: this.#d.clock.now(), kind, text });
  }
}

function refusalOf(one: Incident, other: Incident): string | null {
  if (one.id === other.id) return 'an incident cannot be merged into itself';
  if (one.service !== other.service)
    return `they are of different services (${one.service}, ${other.service}): problems are merged within one service`;
  if (one.state.name === 'healing' || one.state.name === 'verifying')
    return `incident ${one.id} is being repaired: wait for the end, then merge`;
  return null;
}

function isOf(split: Split, { service, fingerprint }: Incident): boolean {
  return split.service === service && split.place === fingerprint.place;
}

function hintOf(id: string, differing: readonly SplitBy[]): string {
  const seen =
    differing.length > 0 ? `its records differ in ${differing.join(', ')}` : 'its records show no difference';
  return `${seen}; say \`split ${id} by ${differing[0] ?? 'message'}\``;
}

function none(id: string): ActionAnswer {
  return { ok: false, message: `there is no incident ${id}`, incident: null };
}
function yes(message: string, incident: Incident): ActionAnswer {
  return { ok: true, message, incident: incidentRow(incident) };
}
function no(message: string, incident: Incident): ActionAnswer {
  return { ok: false, message, incident: incidentRow(incident) };
}
