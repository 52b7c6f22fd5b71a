// Which format a configuration file has, by its name.

export type ConfigFormat = 'json' | 'jsonl' | 'yaml' | 'toml' | 'env';

/** Null when it is none that we understand. */
export function formatOf(path: string): ConfigFormat | null {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase();
  if (/^\.env(?:\.|$)/.test(name) || name.endsWith('.env')) return 'env';
  const extension = /\.(json|jsonl|ndjson|ya?ml|toml)$/.exec(name)?.[1];
  if (extension === 'ndjson') return 'jsonl';
  return extension === 'yml' ? 'yaml' : ((extension as ConfigFormat | undefined) ?? null);
}
