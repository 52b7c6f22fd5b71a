// The detector as this host uses it: the built-in rules, the user's, the types some fix handles and
// the secrets that must not appear in a message.

import type { Config } from './config/contract.ts';
import type { ErrorType } from './core/words.ts';
import { ErrorDetector } from './engine/detector.ts';
import { fixes } from './fixes/index.ts';
import { collectSecrets } from './secrets.ts';

/** Only these are ever called fixable. */
export const HANDLED_TYPES: ReadonlySet<ErrorType> = new Set(fixes.flatMap((fix) => fix.handles));

/** Without a configuration: the built-in rules alone. Rejects with a `ConfigError` when a file of user rules cannot be used. */
export async function createDetector(
  config: Config | null,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<ErrorDetector> {
  const secrets = config ? await collectSecrets(config, environment) : [];
  const files = config?.rules ?? [];
  const userRules = files.length ? await (await import('./engine/user-rules.ts')).loadUserRules(files) : [];
  const severities = config?.severities ?? {};
  return new ErrorDetector({ handledTypes: HANDLED_TYPES, userRules, severities, knownSecrets: () => secrets });
}
