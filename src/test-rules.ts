// `rules test`: the user's rules on their own samples, and on a log if one is given.

import { detectionRow, type DetectionRow } from './core/detection.ts';
import { ErrorDetector } from './engine/detector.ts';
import { readUserRules } from './engine/user-rules.ts';

/** What the rules of `file` find in `text`, and the samples that do not behave as they say. Rejects with a `ConfigError`. */
export async function testRules(
  file: string,
  text: string | null,
): Promise<{ readonly rows: readonly DetectionRow[]; readonly problems: readonly string[] }> {
  const { rules, samples } = await readUserRules(file);
  const detector = new ErrorDetector({ userRules: rules });
  const problems = samples.flatMap(({ rule, text: sample, expected }) => {
    const found = detector.scanText(sample).some((detection) => detection.rule === rule);
    if (found === expected) return [];
    return [`${rule}: ${expected ? 'does not match' : 'must not match'} ${JSON.stringify(sample)}`];
  });
  const own = new Set(rules.map((rule) => rule.name));
  const rows = text === null ? [] : detector.scanText(text).filter((detection) => own.has(detection.rule));
  return { rows: rows.map(detectionRow), problems };
}
