// Trouble with other hosts and their terms. Most of it passes by itself or is the owner's to settle; restarting helps nobody.

import { createServer } from 'node:http';
import { clerk, comesUp, starts } from '../lib/patients.mjs';
import { Harm, python } from '../lib/world.mjs';

/** A provider on the loopback that answers everything with one status. */
async function provider(w, status, body, headers = {}) {
  const server = createServer((request, response) => {
    request.resume();
    w.calls = (w.calls ?? 0) + 1;
    const answer = w.recovered ? [200, {}, '{"ok":true}'] : [status, headers, JSON.stringify(body)];
    response.writeHead(answer[0], { 'content-type': 'application/json', ...answer[1] });
    response.end(answer[2]);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  w.later(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  w.write('turn.py', TURN.replace('PORT', String(server.address().port)));
}
const turn = (w) => w.job([python, 'turn.py'], { env: { API_KEY: w.secret } });

/** Waited out or reported, and in any case nothing is done. */
const left = { kind: 'leave', waits: true, deadlineMs: 20_000, show: turn };

export default [
  {
    ...left,
    id: 'rate-limit',
    what: 'Python job: the provider asks to wait for two minutes (429)',
    build: (w) =>
      provider(
        w,
        429,
        { type: 'error', error: { type: 'rate_limit_error', message: 'Too many requests' } },
        { 'retry-after': '120' },
      ),
  },
  {
    ...left,
    id: 'overloaded',
    what: 'Python job: the provider is overloaded (529)',
    build: (w) => provider(w, 529, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }),
  },
  {
    ...left,
    id: 'upstream-503',
    what: 'Python job: the other side answers 503',
    build: (w) => provider(w, 503, { error: 'maintenance' }),
  },
  {
    ...left,
    id: 'quota',
    what: 'Python job: the quota is used up (429 that no waiting helps)',
    build: (w) =>
      provider(w, 429, {
        error: {
          message: 'You exceeded your current quota, please check your plan and billing details.',
          type: 'insufficient_quota',
          code: 'insufficient_quota',
        },
      }),
  },
  {
    ...left,
    id: 'key-rejected',
    what: 'Python job: the key is rejected (401)',
    build: (w) =>
      provider(w, 401, { type: 'error', error: { type: 'authentication_error', message: 'invalid x-api-key' } }),
  },
  {
    ...left,
    id: 'name-unknown',
    what: 'Python job: the name of the other host does not exist',
    async build(w) {
      w.write('turn.py', TURN.replace('127.0.0.1:PORT', 'no-such-host.invalid'));
    },
  },
  {
    ...left,
    id: 'certificate',
    what: 'Python job: the certificate of the other side has expired',
    build(w) {
      w.write('turn.py', CERTIFICATE);
    },
  },
  {
    ...left,
    id: 'service-waits',
    what: 'Python service: logs a rate limit and goes on working',
    async build(w) {
      await clerk(w);
    },
    warm: comesUp,
    show: (w) =>
      w.line('ERROR', 'anthropic.RateLimitError: Error code: 429 - rate_limit_error, retry after 90 seconds'),
    judgeRunning: true,
    harm(w) {
      if (starts(w) > 1) throw new Harm('restarted for a rate limit');
    },
  },
];

const TURN = `import os, sys, time, urllib.error, urllib.request
request = urllib.request.Request("http://127.0.0.1:PORT/v1/messages", data=b"{}", headers={"x-api-key": os.environ.get("API_KEY", "")})
stamp = time.strftime("%Y-%m-%d %H:%M:%S")
try:
    print(stamp, "INFO turn finished", urllib.request.urlopen(request, timeout=5).read().decode())
except urllib.error.HTTPError as error:
    wait = error.headers.get("retry-after")
    print(stamp, "ERROR provider.APIStatusError: Error code: %d - %s%s" % (error.code, error.read().decode(), " (retry-after: %s)" % wait if wait else ""))
    sys.exit(1)
`;
const CERTIFICATE = `import ssl
raise ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)")
`;
