// The last copy of a file with which the service is known to have run: the only source that a configuration is restored from.

import { formatOf } from '../../core/config-format.ts';
import type { ParsedText, Probe } from '../../host/contract.ts';
import type { GoodCopy } from '../../store/contract.ts';

export interface ProvenCopy {
  readonly copy: GoodCopy;
  readonly provenAt: number;
  /** Never to be put into a plan: it may hold secrets. A plan names the copy by its id. */
  readonly text: string;
  /** Null for a format that we do not understand. */
  readonly parsed: Extract<ParsedText, { ok: true }> | null;
}

/** Newest proven copy that parses, when its format is one we understand. */
export async function provenCopy(probe: Probe, service: string, path: string): Promise<ProvenCopy | null> {
  const format = formatOf(path);
  for (const copy of await probe.goodCopies(service, path)) {
    const text = copy.provenAt === null ? null : await probe.goodCopyText(copy.id);
    if (copy.provenAt === null || text === null) continue;
    const parsed = format === null ? null : probe.files.parse(text, format);
    if (parsed === null || parsed.ok) return { copy, provenAt: copy.provenAt, text, parsed };
  }
  return null;
}

/** `3 h ago`. */
export function ago(now: number, then: number): string {
  const minutes = Math.max(0, Math.round((now - then) / 60_000));
  if (minutes < 120) return `${minutes} min ago`;
  return minutes < 2_880 ? `${Math.round(minutes / 60)} h ago` : `${Math.round(minutes / 1_440)} days ago`;
}
