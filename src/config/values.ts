// The small grammars of configuration values and flags: durations, booleans, addresses.
// Pure functions; a value that does not fit gives null, and the caller says where it stood.

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;
const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/;
const DURATION_PART = /(\d+(?:\.\d+)?)(ms|[smhdw])/g;
/** About 100 years: a longer span is a slip of the finger, and timers could not hold it. */
const LONGEST_MS = 3_153_600_000_000;

/**
 * Milliseconds of `30s`, `5m`, `1h30m`, `250ms`, `2d`, `1w`; a bare number means seconds. Null when it is none.
 *
 * @example
 * parseDuration('1h30m') // 5_400_000
 * parseDuration(300)     // 300_000
 */
export function parseDuration(value: string | number): number | null {
  if (typeof value === 'number') return within(value * 1000);
  const text = value.trim().toLowerCase();
  if (/^\d+(?:\.\d+)?$/.test(text)) return within(Number(text) * 1000);
  if (!DURATION.test(text)) return null;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(DURATION_PART))
    total += Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
  return within(total);
}

function within(ms: number): number | null {
  return ms >= 0 && ms <= LONGEST_MS ? Math.round(ms) : null;
}

/** `true`, `yes`, `on`, `1` and their opposites, in any case. Null when it is none of them. */
export function parseBoolean(value: string): boolean | null {
  const text = value.trim().toLowerCase();
  if (['true', 'yes', 'on', '1'].includes(text)) return true;
  if (['false', 'no', 'off', '0'].includes(text)) return false;
  return null;
}

export interface Address {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/**
 * `127.0.0.1:7331`, `:7331` (loopback), `localhost:80`, `[::1]:7331`, `db.local:5432`. Null when it is none.
 *
 * @example
 * parseAddress(':7331') // { host: '127.0.0.1', port: 7331 }
 */
export function parseAddress(text: string): Address | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]*)):(\d{1,5})$/.exec(text.trim());
  if (!match) return null;
  const port = Number(match[3]);
  if (port > 65_535) return null;
  return { host: match[1] ?? (match[2] || '127.0.0.1'), port };
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** True for an absolute http or https address. */
export function isHttpUrl(text: string): boolean {
  try {
    const { protocol } = new URL(text);
    return protocol === 'http:' || protocol === 'https:';
  } catch {
    return false;
  }
}
