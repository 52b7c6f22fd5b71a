// Reads what the log claims beyond its facts. A claim only ever selects what is looked at.

import type { Incident } from '../../core/incident.ts';

/** Message and samples as one text, for telling variants of an error type apart. */
export function claimOf(incident: Incident): string {
  return [incident.message, ...incident.samples.map((sample) => sample.text)].join('\n');
}
