// A configuration is understood again, and has every key it should have.

import type { CheckOf } from '../../core/plan.ts';
import type { CheckRunner } from '../contract.ts';
import { parseConfig } from '../parse.ts';

/** State files in JSON lines may be larger than configurations. */
const MAX_BYTES = 64 * 1024 * 1024;
const MOST_NAMED = 5;

export const fileParses: CheckRunner<CheckOf<'file-parses'>> = {
  kind: 'file-parses',
  async run({ path, format, keys }, { probe }) {
    const status = await probe.files.status(path);
    if (status.kind === 'absent') return { passed: false, evidence: `${path} is not there` };
    const text = await probe.files.text(path, MAX_BYTES);
    if (text === null) return { passed: 'unknown', evidence: `${path} cannot be read as a plain file` };
    const parsed = parseConfig(text, format);
    if (!parsed.ok) return { passed: false, evidence: `${path}: ${parsed.error}` };
    const has = new Set(parsed.keys);
    const missing = keys.filter((key) => !has.has(key));
    if (missing.length > 0)
      return { passed: false, evidence: `${path} lacks ${missing.slice(0, MOST_NAMED).join(', ')}` };
    const all = keys.length > 0 ? ` and has all ${keys.length} keys` : '';
    return { passed: true, evidence: `${path} is valid ${format}${all}` };
  },
};
