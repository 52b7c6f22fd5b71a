// The clock of this host and that of the other side disagree. Setting a clock moves every timer and database on the
// host, so it is left to a person.

import { type Diagnosis, defineFix, notApplicable, refuse, type FixContext } from './contract.ts';
import { claimOf } from './shared/claims.ts';

const SPEAKS_OF_TIME =
  /RequestTimeTooSkewed|request time .{0,40}too (?:large|skewed)|clock skew|signature (?:has )?expired|token is not yet valid|token used before issued|\biat\b.{0,30}(?:future|invalid)/i;

export default defineFix({
  name: 'report-clock-skew',
  family: 'wait-out-limit',
  title: 'Say that clocks disagree',
  handles: ['auth_error', 'api_error'],
  risk: 'safe',
  scope: 'host',
  autonomy: 'auto',
  order: 5,
  diagnose,
  drills: [
    {
      given: 'a signed request is refused for its time',
      world: (kit) => kit.write('a', ''),
      message:
        'botocore ClientError: RequestTimeTooSkewed: The difference between the request time and the current time is too large',
      facts: { status: 403 },
      type: 'auth_error',
      expect: 'refused',
    },
    {
      given: 'a key is refused for what it is',
      world: (kit) => kit.write('a', ''),
      message: 'Error code: 401 - invalid x-api-key',
      facts: { status: 401 },
      type: 'auth_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident }: FixContext): Promise<Diagnosis> {
  if (!SPEAKS_OF_TIME.test(claimOf(incident))) return notApplicable('the log does not speak of time');
  return refuse(
    'the clock of this host and that of the other side disagree: compare with `timedatectl`, and start time synchronisation; selfheal never sets a clock',
    ['timedatectl', 'timedatectl timesync-status', 'sudo timedatectl set-ntp true'],
  );
}
