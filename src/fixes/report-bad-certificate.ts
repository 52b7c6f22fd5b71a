// A certificate is not accepted. Verification is never switched off: whoever asks for that cannot be told from an
// attacker, so a person has to look.

import { type Diagnosis, defineFix, notApplicable, refuse, type FixContext } from './contract.ts';
import { claimOf } from './shared/claims.ts';

const KINDS: readonly { readonly match: RegExp; readonly advice: string }[] = [
  {
    match: /certificate is not yet valid|CERT_NOT_YET_VALID/i,
    advice: 'is not valid yet: look at the clock of this host first (`timedatectl`)',
  },
  {
    match: /certificate has expired|CERT_HAS_EXPIRED/i,
    advice: 'has expired: renew it if it is yours, tell its owner if it is not',
  },
  {
    match: /unable to get (?:local )?issuer certificate|UNABLE_TO_(?:GET_ISSUER_CERT|VERIFY_LEAF_SIGNATURE)/i,
    advice:
      'has an issuer that is not known here: update the CA certificates of this host, or complete the chain on the other side',
  },
  {
    match: /self[- ]signed certificate|DEPTH_ZERO_SELF_SIGNED_CERT/i,
    advice: 'is signed by itself: add its CA by hand if you trust it',
  },
  {
    match: /hostname mismatch|ERR_TLS_CERT_ALTNAME_INVALID|doesn't match|does not match certificate/i,
    advice: 'is for another name: somebody else answers there',
  },
  { match: /certificate verify failed|CERTIFICATE_VERIFY_FAILED/i, advice: 'is not accepted' },
];

export default defineFix({
  name: 'report-bad-certificate',
  family: 'wait-out-limit',
  title: 'Say why a certificate is not accepted',
  handles: ['api_error', 'timeout', 'auth_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'auto',
  order: 6,
  diagnose,
  drills: [
    {
      given: 'the certificate of the other side has expired',
      world: (kit) => kit.write('a', ''),
      message: 'requests.exceptions.SSLError: certificate verify failed: certificate has expired (_ssl.c:1006)',
      facts: { host: 'api.example.org' },
      type: 'api_error',
      expect: 'refused',
    },
    {
      given: 'the log speaks of no certificate',
      world: (kit) => kit.write('a', ''),
      message: 'connect ECONNREFUSED 127.0.0.1:11434',
      facts: {},
      type: 'api_error',
      expect: 'not-applicable',
    },
  ],
});

async function diagnose({ incident }: FixContext): Promise<Diagnosis> {
  const kind = KINDS.find(({ match }) => match.test(claimOf(incident)));
  if (!kind) return notApplicable('the log speaks of no certificate');
  return refuse(
    `the certificate of ${incident.facts.host ?? 'the other side'} ${kind.advice}. Its verification is never switched off.`,
    ['timedatectl', 'openssl version -d', 'ls -l /etc/ssl/certs/ca-certificates.crt'],
  );
}
