// Reads what the log claims beyond its facts. A claim only ever selects what is looked at.

import type { Incident } from '../../core/incident.ts';

/** Message and samples as one text, for telling variants of an error type apart. What we saw ourselves of an end is no claim. */
export function claimOf(incident: Incident): string {
  const isOwn = (source: string) => incident.rule === ENDED && source.startsWith('service:');
  const said = incident.samples.filter((sample) => !isOwn(sample.source)).map((sample) => sample.text);
  const seenOnly = incident.samples.length > 0 && said.length === 0;
  return [...(seenOnly ? [] : [incident.message]), ...said].join('\n');
}

/** The detector's rule for the end of a process. */
const ENDED = 'process-exit';
