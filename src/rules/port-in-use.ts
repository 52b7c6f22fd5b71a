// A TCP or UDP port that the service wants is taken.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'port-in-use',
  type: 'port_in_use',
  severity: 'high',
  identity: ['port'],
  patterns: [
    {
      match: /EADDRINUSE[^\n]{0,80}?(?:(?<host>\d{1,3}(?:\.\d{1,3}){3})|::|\*|localhost)?:(?<port>\d{2,5})\b/,
      confidence: 0.975,
      because: 'Node names address and port',
    },
    {
      match: /listen (?:tcp|udp)\d? \S{0,80}?:(?<port>\d{1,5}): bind: /,
      confidence: 0.97,
      because: 'Go',
    },
    {
      match: /Connection in use: \('?(?<host>[\d.]{0,15})'?, (?<port>\d{1,5})\)/,
      confidence: 0.96,
      because: 'gunicorn',
    },
    {
      match: /\bEADDRINUSE\b|\[?(?:Errno|WinError|winerror) (?:98|48|10048)\b/,
      confidence: 0.965,
      because: 'the errno as Node and Python name it',
    },
    {
      match:
        /[Aa]ddress (?:is )?already in use|Only one usage of each socket address|error while attempting to bind on address|failed to bind (?:to )?(?:host )?port|bind: address|bind\(\) (?:to \S{1,120} )?failed|BindException|Cannot assign requested address: bind/,
      confidence: 0.955,
      because: 'EADDRINUSE as C libraries, asyncio, nginx and Java word it',
    },
    {
      match:
        /[Pp]orts? (?::|:)?['"]?(?<port>\d{2,5})['"]? (?:is|was|are) (?:already |currently )?(?:in use|allocated|being used|taken|occupied|used|bound|unavailable|not available)|[Pp]ort (?<port2>\d{2,5}) already in use|[Ss]omething is already running on port (?<port3>\d{2,5})|Ports are not available[^\n]{0,80}:(?<port4>\d{2,5})\b|port is already (?:allocated|in use)|address already bound|[Pp]ort (?<port5>\d{2,5}) is in use by (?:another|an unknown)|Another process is (?:already )?(?:listening|using) (?:on )?(?:port )?(?<port6>\d{2,5})|listen port (?<port7>\d{2,5}) (?:busy|taken)/,
      confidence: 0.95,
      because: 'wording of frameworks and docker',
    },
    {
      match:
        /(?:another|other) (?:gateway |server |instance |process )(?:instance )?is already (?:listening|running)|[Aa]nother instance (?:of \S{1,60} )?is already running|make_sock: could not bind to address|[Cc]ould not bind (?:to )?(?:\S{1,60} )?(?:address|port|socket)|[Uu]nable to bind (?:to )?|[Ff]ailed to (?:bind|listen)(?: on| to)?\b|[Cc]annot bind (?:to )?(?:address|port|socket)/,
      confidence: 0.885,
      because: 'usual wording',
    },
    {
      match: /\bkind: AddrInUse\b|\(os error 98\)/,
      confidence: 0.96,
      because: 'kinds of an I/O error as Rust prints them',
    },
  ],
  never: [/lock file "[^"\n]{1,200}" already exists|[Pp]ermission denied|EADDRNOTAVAIL|not permitted/],
  matches: [
    { text: 'Error: listen EADDRINUSE: address already in use :::3000', facts: { port: 3000 } },
    { text: '2026-01-05 10:00:00,123 ERROR [agent] OSError: [Errno 98] Address already in use' },
    { text: 'nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)', facts: { port: 80 } },
    {
      text: 'docker: Error response from daemon: Bind for 0.0.0.0:8080 failed: port is already allocated.',
      facts: { port: 8080 },
    },
    {
      text: '2026-01-05 10:00:00,123 ERROR [app] Web server failed to start. Port 8443 was already in use.',
      facts: { port: 8443 },
    },
    { text: 'listen tcp :9100: bind: address already in use', facts: { port: 9100 } },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [agent] listening on port 3000' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: it says "Address already in use"' },
    { text: '2026-01-05 10:00:00,123 INFO [agent] port 3000 in use by us, reusing' },
  ],
});
