// Building blocks of the schema: fields that accept what people write (and what `${ENV}`
// references turn into: text) and give what the program needs.

import * as z from 'zod';
import { isHttpUrl, isLoopback, parseAddress, parseBoolean, parseDuration } from './values.ts';

/** Text with at least one character. */
export const text = z.string().min(1, 'must not be empty');

/** Gives `parse(value)`, or an issue that says what was expected. `title` is the type's name in the reference page. */
function parsed<I extends z.ZodType, O>(
  input: I,
  parse: (value: z.output<I>) => O | null,
  expected: string,
  title: string,
) {
  const field = input.transform((value, context): O => {
    const result = parse(value);
    if (result !== null) return result;
    context.addIssue({ code: 'custom', message: `expected ${expected}, found ${JSON.stringify(value)}` });
    return z.NEVER;
  });
  return field.meta({ title });
}

/** Names of accounts change hands; numbers do not. */
const CHAT_ID = 'the number of a Telegram account, not its name (the bot @userinfobot tells you yours)';
const numberOrText = (expected: string) => z.union([z.number(), z.string()], { error: `expected ${expected}` });
const DURATION = 'a duration such as 30s, 5m or 2h (a bare number means seconds)';

/** Milliseconds. */
export const duration = parsed(numberOrText(DURATION), parseDuration, DURATION, 'duration');

/** Milliseconds, at least a second: a period of nothing would keep the machine busy. */
export const period = parsed(
  numberOrText(DURATION),
  (value) => {
    const ms = parseDuration(value);
    return ms !== null && ms >= 1000 ? ms : null;
  },
  `${DURATION} of at least one second`,
  'duration',
);

export const flag = parsed(
  z.union([z.boolean(), z.string()], { error: 'expected true or false' }),
  (value) => (typeof value === 'boolean' ? value : parseBoolean(value)),
  'true or false',
  'true/false',
);

/** A whole number within bounds. */
export function whole(least: number, most = Number.MAX_SAFE_INTEGER) {
  const expected =
    most === Number.MAX_SAFE_INTEGER
      ? `a whole number of at least ${least}`
      : `a whole number from ${least} to ${most}`;
  return parsed(
    numberOrText(expected),
    (value) => {
      const number = typeof value === 'string' && /^-?\d+$/.test(value.trim()) ? Number(value) : value;
      return Number.isSafeInteger(number) && Number(number) >= least && Number(number) <= most ? Number(number) : null;
    },
    expected,
    'whole number',
  );
}

/** A Telegram id: groups have negative ones. */
export const chatId = parsed(
  numberOrText(CHAT_ID),
  (value) => (/^-?\d{1,16}$/.test(String(value).trim()) ? Number(value) : null),
  CHAT_ID,
  'whole number',
);

/** One value or a list of them. */
export function listOf<T extends z.ZodType>(item: T, expected: string) {
  return z
    .union([z.array(item), item], { error: `expected ${expected}` })
    .transform((value) => (Array.isArray(value) ? value : [value]) as z.output<T>[]);
}

/** Where something of ours listens: only where nobody else can reach it, for it asks for no password. */
export const listen = parsed(
  text,
  (value) => {
    const address = parseAddress(value);
    return address && isLoopback(address.host) ? address : null;
  },
  'an address of this machine only, such as 127.0.0.1:7331 (reach it from elsewhere through an SSH tunnel)',
  'address:port',
);

export const address = parsed(
  text,
  (value) => {
    const found = parseAddress(value);
    return found && found.port > 0 ? found : null;
  },
  'an address with a port, such as 127.0.0.1:8080',
  'address:port',
);

/** An http address without a slash at its end. */
export const url = parsed(
  text,
  (value) => (isHttpUrl(value) ? value.replace(/\/+$/, '') : null),
  'an http:// or https:// address',
  'URL',
);

/** Program and arguments. A text would need a shell to be understood, and no shell is ever used. */
export const argv = z
  .array(z.union([z.string(), z.number()], { error: 'expected a text' }).transform(String), {
    error: 'expected a list such as [python, main.py]: program and arguments one by one, because no shell is used',
  })
  .min(1, 'must name a program')
  .refine((list) => list[0] !== '', 'must name a program');

/** A name that is handed to another program: never an option, never a pattern. */
export const unitName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]{0,255}$/, 'expected one plain name, without patterns or options');

/** Time of day. */
export const timeOfDay = z.string().regex(/^([01]?\d|2[0-3]):[0-5]\d$/, 'expected a time of day such as 22:30');

export const timezone = z.string().refine((zone) => {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }));
  } catch {
    return false;
  }
}, 'expected a time zone such as Europe/Berlin or UTC');
